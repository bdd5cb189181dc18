"""Which events of a log are missing, and what the log itself says about them. Pure.

Each boot numbers its events from 0 without a hole, dropped ones too. So what is missing is known
from the numbers alone; what the log says (`dropped`, `log_gone`) explains it, or does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Boot", "Gap", "Gaps"]

UNEXPLAINED = "the log does not say why"
_REMOVED = "in files that the quota removed"
_OLDER = "in older files that are not here, or in this one before it was emptied"


class Gap(NamedTuple):
    """Numbers that are missing.

    Attributes:
        first: the first of them.
        last: the last of them.
        why: in words; `UNEXPLAINED` if the log says nothing of them.
    """

    first: int
    last: int
    why: str

    @property
    def events(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass
class Boot:
    """One writer's life, as far as it was read.

    Attributes:
        token: its name.
        since: its first line's `ts_wall`.
        lines: events read.
        last: the last number read, -1 if none was.
        closed: whether it ended in order. If not, the writer was killed, or is still at it.
        missing: first and last number of each hole.
        said: first and last number of what the log says was lost, and why.
    """

    token: str
    since: float = 0.0
    lines: int = 0
    last: int = -1
    closed: bool = False
    missing: list[tuple[int, int]] = field(default_factory=list)
    said: list[Gap] = field(default_factory=list)


class Gaps:
    """Follows the numbers of a log.

    Args:
        name: of the log; a log may also hold what others say of themselves.
    """

    def __init__(self, name: str) -> None:
        self.boots: dict[str, Boot] = {}
        """Token -> boot, oldest first."""
        self._name = name
        self._removed = False

    def see(self, boot: str, seq: int, event: Mapping[str, Any]) -> None:
        """Take note of a line; lines come in the order of the log. One without a number is none."""
        if seq < 0:
            return
        found = self.boots.setdefault(boot, Boot(boot, _wall(event)))
        if seq > found.last + 1:
            found.missing.append((found.last + 1, seq - 1))
        found.last = max(seq, found.last)
        found.lines += 1
        if event.get("file") != self._name:
            return
        kind = event.get("type")
        if kind == "log_closed":
            found.closed = True
        elif kind == "log_removed":
            self._removed = True
        elif kind in ("dropped", "log_gone"):
            _listen(found, event)

    def of(self, boot: Boot) -> list[Gap]:
        """List what is missing of a boot, each with its reason."""
        oldest = next(iter(self.boots.values()), None) is boot
        found = []
        for first, last in boot.missing:
            leading = oldest and first == 0
            otherwise = (_REMOVED if self._removed else _OLDER) if leading else UNEXPLAINED
            found += _explained(first, last, boot.said, otherwise)
        return found

    def all(self) -> list[tuple[Boot, Gap]]:
        """List what is missing of all boots."""
        return [(boot, gap) for boot in self.boots.values() for gap in self.of(boot)]


def _listen(boot: Boot, event: Mapping[str, Any]) -> None:
    first, last = event.get("first_seq"), event.get("last_seq")
    if isinstance(first, int) and isinstance(last, int) and first <= last:
        gone = event["type"] == "log_gone"
        why = (
            "in a file that somebody removed or emptied"
            if gone
            else f"dropped: {event.get('why', '')}"
        )
        boot.said.append(Gap(first, last, why))


def _explained(first: int, last: int, said: Iterable[Gap], otherwise: str) -> list[Gap]:
    """Divide a hole by what was said of it."""
    found: list[Gap] = []
    for gap in sorted(said):
        if gap.last < first or gap.first > last:
            continue
        if gap.first > first:
            found.append(Gap(first, gap.first - 1, otherwise))
        found.append(Gap(max(gap.first, first), min(gap.last, last), gap.why))
        first = gap.last + 1
    return [*found, Gap(first, last, otherwise)] if first <= last else found


def _wall(event: Mapping[str, Any]) -> float:
    value = event.get("ts_wall")
    return float(value) if isinstance(value, (int, float)) else 0.0
