"""The report in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .clusters import SCORE
from .parameters import Offsets, Parameter
from .report import DriftReport, utc

__all__ = ["describe", "finding", "off", "safe", "short"]

_SHOWN = 14  # characters of a hash
_LONG = 120  # characters of a name or a value
_UNKNOWN = "no parameter known: the gateway had the hashes, and not both samples"


def describe(report: DriftReport, top: int = 10) -> Iterator[str]:
    """The whole report, line by line.

    Args:
        report: what was worked out.
        top: rows of each table.
    """
    yield from _read(report)
    if not report.total:
        yield "no mismatch: every expected randomization was in force"
        return
    yield from _totals(report)
    yield ""
    yield "which parameter, in which session, since when"
    for parameter in report.parameters[:top]:
        yield f"  {finding(parameter)}"
    yield from _more(len(report.parameters), top)
    yield ""
    yield f"expected -> actual, {len(report.transitions)} in all"
    for each in report.transitions[:top]:
        yield f"  {each.count:>7}  {short(each.expected)} -> {short(each.actual)}"
    yield from _more(len(report.transitions), top)
    yield ""
    yield from _clusters(report, top)


def _read(report: DriftReport) -> Iterator[str]:
    log = report.log
    files = f"{len(log.files)} files up to {log.files[-1]}" if log.files[1:] else str(log.files[0])
    yield f"read {_count(log.lines, 'line')} of {files}"
    if log.unreadable:
        yield f"  {_count(log.unreadable, 'line')} left out: torn, or no JSON"
    if log.foreign:
        yield f"  {_count(log.foreign, 'line')} left out: JSON, and no hash mismatch"
    if log.lost:
        yield f"  {_count(log.lost, 'event')} lost: they came faster than they could be written"


def _totals(report: DriftReport) -> Iterator[str]:
    first, last = report.log.mismatches[0].ts, report.log.mismatches[-1].ts
    expected = {m.expected for m in report.log.mismatches}
    actual = {m.actual for m in report.log.mismatches}
    yield (
        f"{_count(report.total, 'mismatch', 'es')} in {_count(len(report.sessions), 'session')}, "
        f"{_count(len(expected), 'expected hash', 'es')}, "
        f"{_count(len(actual), 'actual hash', 'es')}"
    )
    yield f"from {utc(first)} to {utc(last)}, {_seconds(last - first)}"


def finding(parameter: Parameter) -> str:
    """What is known of one parameter in one session, as a sentence."""
    where = (
        f"session {_cut(safe(parameter.session))}" if parameter.session else "an unnamed session"
    )
    since = f"since {utc(parameter.first)}"
    if parameter.first_seq is not None:
        since += f" (observation {parameter.first_seq})"
    times = _count(parameter.count, "mismatch", "es")
    if not parameter.key:
        return f"{where} {since}: {times}, {_UNKNOWN}"
    values = f"expected {_value(parameter.expected_value)}, was {_value(parameter.actual_value)}"
    offsets = f"; {off(parameter.offsets)}" if parameter.offsets is not None else ""
    return f"{_cut(safe(parameter.key))} in {where} {since}: {times}, first {values}{offsets}"


def off(offsets: Offsets) -> str:
    """By how much a value was off, in words."""
    said = f"off by {offsets.least:+.6g}"
    if offsets.most != offsets.least:
        said += f" to {offsets.most:+.6g}"
    if offsets.relative is not None:
        said += f", at most {100 * offsets.relative:.3g} % of the expected value"
    return f"{said}, {offsets.trend}" if offsets.trend else said


def _clusters(report: DriftReport, top: int) -> Iterator[str]:
    strongest = sorted(report.clusters, key=lambda each: (-each.score, each.first))[:top]
    yield (
        f"{_count(len(report.clusters), 'cluster')}, parted by {report.cluster_gap:g} s of quiet; "
        f"score = {SCORE}"
    )
    yield f"  {'begins':<27} {'size':>7} {'duration':>12} {'median gap':>12} {'score':>9}  sessions"
    for each in strongest:
        gap = "-" if each.median_gap is None else f"{each.median_gap:.3f} s"
        names = ", ".join(_cut(safe(name)) or "unnamed" for name in each.sessions[:3])
        names += f" and {len(each.sessions) - 3} more" if each.sessions[3:] else ""
        yield (
            f"  {utc(each.first):<27} {each.size:>7} {_seconds(each.duration):>12} {gap:>12} "
            f"{each.score:>9.1f}  {names}"
        )
    yield from _more(len(report.clusters), top)


def _more(count: int, top: int) -> Iterator[str]:
    if count > top:
        yield f"  and {count - top} more"


def short(digest: str) -> str:
    """A hash cut to what tells it from others."""
    if not digest:
        return "(none said)"
    return safe(digest if len(digest) <= _SHOWN + 6 else f"{digest[:_SHOWN]}...")


def safe(words: str) -> str:
    """A client's words without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in words)


def _value(value: object) -> str:
    return _cut(repr(value)) if value is not None else "none"


def _cut(words: str) -> str:
    """The beginning of what is too long for a line."""
    return words if len(words) <= _LONG else f"{words[:_LONG]}... ({len(words)} characters)"


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _count(count: int, word: str, plural: str = "s") -> str:
    return f"{count} {word}{'' if count == 1 else plural}"
