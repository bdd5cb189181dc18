"""What is missing of a log, as text and as facts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .finding import log_name, read_log
from .gaps import Boot, Gap, Gaps
from .reader import Damage, LogReader
from .showing import harmless, when

__all__ = ["GapReport", "gap_report"]


@dataclass(frozen=True)
class GapReport:
    """Which events of a log are missing.

    Attributes:
        found: each boot, oldest first, and what is missing of it.
        damage: what could not be read.
        unfinished: bytes of half a line at the end of the live file.
    """

    found: list[tuple[Boot, list[Gap]]]
    damage: list[Damage]
    unfinished: int

    def is_whole(self) -> bool:
        """Tell whether nothing is missing and nothing damaged."""
        return not self.damage and not any(missing for _, missing in self.found)

    def lines(self) -> Iterator[str]:
        """Describe it: a line for each boot, and one for each of its gaps."""
        for number, (boot, missing) in enumerate(self.found, 1):
            end = _end_of(boot, last=number == len(self.found))
            lost = sum(gap.events for gap in missing)
            yield (
                f"{boot.token}  since {when(boot.since)}  {boot.lines} events, the last is number "
                f"{boot.last}; {end}; {lost} missing"
            )
            for gap in missing:
                yield harmless(f"  {gap.first} to {gap.last} ({gap.events}): {gap.why}")

    def facts(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        damage = [{"file": str(path), "what": what} for path, what in self.damage]
        boots = [_boot_facts(boot, missing) for boot, missing in self.found]
        return {"boots": boots, "damage": damage, "unfinished_bytes": self.unfinished}


def gap_report(path: Path) -> GapReport:
    """Read a log, or one of its files, for what is missing.

    Raises:
        EventLogError: it cannot be read.
    """
    gaps = Gaps(log_name(path))
    with closing(LogReader(path)) as reader:
        for line in read_log(reader):
            gaps.see(line.boot, line.seq, line.event)
        found = [(boot, gaps.of(boot)) for boot in gaps.boots.values()]
        return GapReport(found, reader.damage, reader.unfinished())


def _end_of(boot: Boot, *, last: bool) -> str:
    """Say how a boot ended; only one that ended in order is known to its end."""
    if boot.closed:
        return "ended in order"
    why = "killed, or still writing" if last else "killed, or its last events could not be written"
    return f"no end: {why}, so what came after number {boot.last} is unknown"


def _boot_facts(boot: Boot, missing: list[Gap]) -> dict[str, Any]:
    return {
        "boot": boot.token,
        "since": boot.since,
        "events": boot.lines,
        "last_seq": boot.last,
        "closed": boot.closed,
        "unknown_after": None if boot.closed else boot.last,
        "missing": [
            {"first_seq": gap.first, "last_seq": gap.last, "count": gap.events, "why": gap.why}
            for gap in missing
        ],
    }
