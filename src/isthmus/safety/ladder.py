"""The ladder: how far the link trusts the policy right now.

Theory of operation. The ladder is one table, (level, event) -> level, and a clock that is handed
in. A level says three things: what the user is told (`STATUS`), whether a valid action may be
applied (`APPLIES`), and whether it is latched (`LATCHED`). A latched level is left only by an
event that its rearm rule names (`REARM_EVENTS`), whatever the table allows; so traffic alone
never moves a stopped robot under `manual` or `on_reset`.

                 VALID     MISS      STALLED   RESET     REARM     RECONNECTED
    DISARMED     NORMAL    -         -         -         -         -
    NORMAL       -         BRIDGE    STOPPED   DISARMED  -         -
    BRIDGE       NORMAL    -         STOPPED   DISARMED  -         -
    STOPPED *    DISARMED  -         -         DISARMED  DISARMED  DISARMED      (* latched)

A new epoch (RECONNECTED) forgives nothing in NORMAL and BRIDGE: a gateway that reconnects for
ever and never answers still runs into STALLED. In DISARMED nothing counts as a miss.

Later levels (a controlled stop between BRIDGE and STOPPED, an e-stop above) are new rows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from ..errors import ContractError
from .leveltimes import LevelTimes

__all__ = [
    "APPLIES",
    "DEFAULT_REARM",
    "LATCHED",
    "NAMES",
    "REARM_EVENTS",
    "STALL_NS",
    "STALL_PERIODS",
    "STATUS",
    "TABLE",
    "Event",
    "Ladder",
    "Level",
    "Transition",
]


class Level(IntEnum):
    """How far the policy is trusted. The numbers order severity and leave room between."""

    DISARMED = -1
    NORMAL = 0
    BRIDGE = 1
    STOPPED = 3


class Event(IntEnum):
    """What can happen to a level."""

    VALID = 0
    MISS = 1
    STALLED = 2
    RESET = 3
    REARM = 4
    RECONNECTED = 5


TABLE: dict[tuple[Level, Event], Level] = {
    (Level.DISARMED, Event.VALID): Level.NORMAL,
    (Level.DISARMED, Event.MISS): Level.DISARMED,
    (Level.DISARMED, Event.STALLED): Level.DISARMED,
    (Level.DISARMED, Event.RESET): Level.DISARMED,
    (Level.DISARMED, Event.REARM): Level.DISARMED,
    (Level.DISARMED, Event.RECONNECTED): Level.DISARMED,
    (Level.NORMAL, Event.VALID): Level.NORMAL,
    (Level.NORMAL, Event.MISS): Level.BRIDGE,
    (Level.NORMAL, Event.STALLED): Level.STOPPED,
    (Level.NORMAL, Event.RESET): Level.DISARMED,
    (Level.NORMAL, Event.REARM): Level.NORMAL,
    (Level.NORMAL, Event.RECONNECTED): Level.NORMAL,
    (Level.BRIDGE, Event.VALID): Level.NORMAL,
    (Level.BRIDGE, Event.MISS): Level.BRIDGE,
    (Level.BRIDGE, Event.STALLED): Level.STOPPED,
    (Level.BRIDGE, Event.RESET): Level.DISARMED,
    (Level.BRIDGE, Event.REARM): Level.BRIDGE,
    (Level.BRIDGE, Event.RECONNECTED): Level.BRIDGE,
    (Level.STOPPED, Event.VALID): Level.DISARMED,
    (Level.STOPPED, Event.MISS): Level.STOPPED,
    (Level.STOPPED, Event.STALLED): Level.STOPPED,
    (Level.STOPPED, Event.RESET): Level.DISARMED,
    (Level.STOPPED, Event.REARM): Level.DISARMED,
    (Level.STOPPED, Event.RECONNECTED): Level.DISARMED,
}
"""(level, event) -> level. Complete: every pair is defined."""

LATCHED: frozenset[Level] = frozenset({Level.STOPPED})
"""Levels left only by an event that the rearm rule names."""

REARM_EVENTS: dict[str, frozenset[Event]] = {
    "auto": frozenset({Event.VALID, Event.RESET, Event.REARM, Event.RECONNECTED}),
    "on_reset": frozenset({Event.RESET, Event.REARM}),
    "manual": frozenset({Event.REARM}),
}
"""Rearm rule -> events that may leave a latched level."""

DEFAULT_REARM: dict[str, str] = {"simulated": "on_reset", "real": "manual"}
"""Actuator -> rearm rule where none is named."""

STATUS: dict[Level, str] = {
    Level.DISARMED: "disarmed",
    Level.NORMAL: "policy",
    Level.BRIDGE: "bridged",
    Level.STOPPED: "stopped",
}
"""Level -> the word the user reads in `Action.status`."""

NAMES: dict[Level, str] = {level: level.name.lower() for level in Level}
"""Level -> its name in reports and metrics."""

APPLIES: frozenset[Level] = frozenset({Level.NORMAL})
"""Levels at which a valid action is what the robot gets."""

STALL_NS = 500_000_000
STALL_PERIODS = 10
"""Misses for the longer of `STALL_NS` and `STALL_PERIODS` x control_dt are a stall."""

MAX_TRANSITIONS = 256


@dataclass(frozen=True)
class Transition:
    """One change of level.

    Attributes:
        before: the level left.
        after: the level entered.
        event: what happened.
        cause: why, in the words of whoever reported it; "" if there is nothing to add.
        now_ns: monotonic instant, as handed in.
    """

    before: Level
    after: Level
    event: Event
    cause: str
    now_ns: int


class Ladder:
    """The state of one link.

    Attributes:
        level: the level now.
        cause: why the policy is not in charge; "" in NORMAL.
        misses: misses counted since the link began, at most one per control_dt.
        consecutive_misses: misses counted since the last valid action.
        transitions: the latest changes of level, oldest first, at most `MAX_TRANSITIONS`.
        times: how long the link has been at each level, by `NAMES`.

    Args:
        control_dt_ns: time between two actions.
        rearm: one of `REARM_EVENTS`, or None for the actuator's default.
        actuator: `simulated` or `real`.

    Raises:
        ContractError: an unknown rule, or `auto` for a real actuator.
    """

    def __init__(
        self, control_dt_ns: int, rearm: str | None = None, actuator: str = "simulated"
    ) -> None:
        rule = DEFAULT_REARM[actuator] if rearm is None else rearm
        if rule not in REARM_EVENTS:
            raise ContractError(f"rearm {rule!r}: use one of {', '.join(REARM_EVENTS)}")
        if rule == "auto" and actuator != "simulated":
            raise ContractError(
                "rearm 'auto' lets a stopped robot move again by itself, so it is refused for a "
                "real actuator; use 'manual' or 'on_reset'"
            )
        self.rearm_rule = rule
        self.level = Level.DISARMED
        self.cause = ""
        self.misses = 0
        self.consecutive_misses = 0
        self.transitions: deque[Transition] = deque(maxlen=MAX_TRANSITIONS)
        self.times = LevelTimes(NAMES.values(), NAMES[self.level])
        self.stall_ns = max(STALL_NS, STALL_PERIODS * control_dt_ns)
        self._dt_ns = control_dt_ns
        # A loop paced at control_dt jitters; a quarter of a period early still counts as on time.
        # The count stays at most one per control_dt in the long run, because each one moves the
        # next due instant a whole period on.
        self._slack_ns = control_dt_ns // 4
        self._due_ns = 0
        self._last_valid_ns = 0

    @property
    def status(self) -> str:
        """The word for the user."""
        return STATUS[self.level]

    @property
    def would_apply(self) -> bool:
        """True if a valid action arriving now would be applied."""
        return self._next(Event.VALID) in APPLIES

    def succeed(self, former: Ladder, now_ns: int) -> None:
        """Take the place of another ladder. A latch is handed on: at its level, with its cause.

        With it goes a rearm rule that asks for more than the one here: what latched under
        `manual` is not left by traffic because a policy for a simulated robot was loaded.
        """
        if former.level in LATCHED:
            self.level, self.cause = former.level, former.cause
            self.rearm_rule = min(
                (former.rearm_rule, self.rearm_rule), key=lambda rule: len(REARM_EVENTS[rule])
            )
            self.times.enter(NAMES[self.level], now_ns)

    def valid(self, now_ns: int) -> bool:
        """A valid action came in time.

        Returns:
            True if it may be applied.
        """
        if self.level is not Level.NORMAL:
            self._move(Event.VALID, "", now_ns)
        self.consecutive_misses = 0
        self._last_valid_ns = now_ns
        return self.level in APPLIES

    def miss(self, now_ns: int, cause: str = "") -> Level:
        """No valid action came in time.

        The level falls to BRIDGE at once, because nothing of the policy's is applied; the count
        rises at most once per control_dt, so an unpaced loop cannot run up the ladder.

        Args:
            now_ns: monotonic instant.
            cause: why, in one word: `deadline`, `not_finite`, ...
        """
        if self.level is Level.DISARMED:
            self.cause = cause
            return self.level
        if now_ns >= self._due_ns - self._slack_ns:
            self._due_ns = max(now_ns, self._due_ns) + self._dt_ns
            self.misses += 1
            self.consecutive_misses += 1
        stalled = now_ns - self._last_valid_ns >= self.stall_ns
        self._move(Event.STALLED if stalled else Event.MISS, cause, now_ns)
        return self.level

    def reset(self, now_ns: int) -> Level:
        """An episode starts."""
        return self._move(Event.RESET, "", now_ns)

    def rearm(self, now_ns: int) -> Level:
        """The operator allows motion again."""
        return self._move(Event.REARM, "", now_ns)

    def reconnected(self, now_ns: int) -> Level:
        """The link reached a gateway again, in a new epoch."""
        return self._move(Event.RECONNECTED, "", now_ns)

    def _next(self, event: Event) -> Level:
        level = self.level
        if level in LATCHED and event not in REARM_EVENTS[self.rearm_rule]:
            return level
        return TABLE[level, event]

    def _move(self, event: Event, cause: str, now_ns: int) -> Level:
        before, after = self.level, self._next(event)
        if after is Level.NORMAL:
            self.cause = ""
        elif before not in LATCHED or after is not before:
            # A latched level keeps the cause that latched it.
            self.cause = cause or (self.cause if after is before else "")
        if after is not before:
            self.level = after
            if after is Level.DISARMED:
                self.consecutive_misses = 0
            self.times.enter(NAMES[after], now_ns)
            self.transitions.append(Transition(before, after, event, cause, now_ns))
        return after
