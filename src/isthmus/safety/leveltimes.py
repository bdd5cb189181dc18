"""How long a ladder has stood at each of its levels."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["LevelTimes"]


class LevelTimes:
    """Adds up the time at each level. Pure: the instants are handed in.

    It costs something only where the level changes. Nothing counts before `begin`, or before the
    first change if that is never called.

    Args:
        levels: names of all levels.
        level: the one to begin at.
    """

    __slots__ = ("_level", "_since_ns", "_spent_ns")

    def __init__(self, levels: Iterable[str], level: str) -> None:
        self._spent_ns = dict.fromkeys(levels, 0)
        self._level = level
        self._since_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Count from this instant on."""
        self._since_ns = now_ns

    def enter(self, level: str, now_ns: int) -> None:
        """Another level begins. An instant before the last one counts as that one.

        Args:
            level: its name, one of `levels`.
            now_ns: monotonic instant.
        """
        if self._since_ns is None:
            self._since_ns = now_ns
        self._spent_ns[self._level] += max(0, now_ns - self._since_ns)
        self._level, self._since_ns = level, max(now_ns, self._since_ns)

    def spent_ns(self, now_ns: int) -> dict[str, int]:
        """Level -> time spent there until `now_ns`, that of the level at hand included."""
        found = dict(self._spent_ns)
        if self._since_ns is not None:
            found[self._level] += max(0, now_ns - self._since_ns)
        return found
