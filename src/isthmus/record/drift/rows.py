"""The report as rows of one table, for a spreadsheet: `kind` says what a row is. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .parameters import Parameter
from .report import DriftReport, utc

__all__ = ["COLUMNS", "rows"]

COLUMNS: tuple[str, ...] = (
    "kind", "session", "key", "expected", "actual", "count", "first", "last", "first_utc",
    "duration_s", "median_gap_s", "score", "first_seq", "first_corr_id", "offset_first",
    "offset_last", "offset_min", "offset_max", "relative_max", "trend",
)  # fmt: skip
"""`kind` is total, parameter, session, transition or cluster. `expected` and `actual` are hashes of
a transition, and the first values of a parameter. Times are seconds since 1970."""


def rows(report: DriftReport, top: int) -> Iterator[dict[str, Any]]:
    """One row for everything there is, with the columns that mean something for it.

    Args:
        report: what was worked out.
        top: transitions to list.
    """
    if report.total:
        first, last = report.log.mismatches[0].ts, report.log.mismatches[-1].ts
        yield _row("total", report.total, first, last)
    for parameter in report.parameters:
        yield _of_parameter(parameter)
    for session in report.sessions:
        yield {
            **_row("session", session.count, session.first, session.last),
            "session": session.session,
            "key": " ".join(session.keys),
        }
    for each in report.transitions[:top]:
        row = _row("transition", each.count, each.first, each.last)
        yield {**row, "expected": each.expected, "actual": each.actual}
    for cluster in report.clusters:
        yield {
            **_row("cluster", cluster.size, cluster.first, cluster.last),
            "session": " ".join(cluster.sessions),
            "median_gap_s": cluster.median_gap,
            "score": cluster.score,
        }


def _of_parameter(parameter: Parameter) -> dict[str, Any]:
    row = _row("parameter", parameter.count, parameter.first, parameter.last)
    row.update(
        session=parameter.session,
        key=parameter.key,
        expected=parameter.expected_value,
        actual=parameter.actual_value,
        first_seq=parameter.first_seq,
        first_corr_id=parameter.first_corr_id,
    )
    offsets = parameter.offsets
    if offsets is not None:
        row.update(
            offset_first=offsets.first,
            offset_last=offsets.last,
            offset_min=offsets.least,
            offset_max=offsets.most,
            relative_max=offsets.relative,
            trend=offsets.trend,
        )
    return row


def _row(kind: str, count: int, first: float, last: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "count": count,
        "first": first,
        "last": last,
        "first_utc": utc(first),
        "duration_s": last - first,
    }
