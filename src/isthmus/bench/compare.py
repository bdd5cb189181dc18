"""Two results side by side: the same rows as ratios, and why they might not be comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .machine import SAME

__all__ = ["Change", "compare"]


@dataclass(frozen=True, slots=True)
class Change:
    """One row that both results have.

    Attributes:
        transport: of the row.
        payload: of the row.
        ratios: quantile -> new / old.
    """

    transport: str
    payload: str
    ratios: Mapping[str, float]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[Change], list[str]]:
    """Hold two documents of `result.document` against each other.

    Returns:
        The rows that both have, and remarks: what differs in machine or settings, and which
        rows only one of them has.
    """
    before, after = _by_case(old), _by_case(new)
    changes = [
        Change(*case, {name: after[case][name] / before[case][name] for name in before[case]
                       if name in after[case]})
        for case in after
        if case in before
    ]  # fmt: skip
    remarks = [
        f"{name} was {old['machine'].get(name)!r}, is {new['machine'].get(name)!r}"
        for name in SAME
        if old["machine"].get(name) != new["machine"].get(name)
    ]
    if remarks:
        remarks.insert(0, "not the same machine or versions: these ratios are no comparison")
    was, now = (found.get("settings", {}).get("hz") for found in (old, new))
    if was != now:
        remarks.append(f"the pace was {was} Hz, is {now} Hz (0: as fast as it goes)")
    for words, found in (("old", old), ("new", new)):
        lossy = [
            f"{row['transport']}, {row['payload']}" for row in found["rows"] if row.get("missed")
        ]
        if lossy:
            remarks.append(f"steps not answered in time in the {words} result: {'; '.join(lossy)}")
    for words, one, other in (("old", before, after), ("new", after, before)):
        alone = sorted(", ".join(case) for case in one.keys() - other.keys())
        if alone:
            remarks.append(f"only in the {words} result: {'; '.join(alone)}")
    return changes, remarks


def _by_case(found: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, float]]:
    return {(row["transport"], row["payload"]): row["us"] for row in found["rows"] if row.get("us")}
