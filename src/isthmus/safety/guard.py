"""The guard: ladder, gate and fallback as the one object that a link asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract
from ..errors import ContractError
from .fallback import fall_back
from .gate import Gate
from .ladder import LATCHED, STATUS, Ladder, Level

__all__ = ["Guard", "Outcome"]

Numbers = NDArray[Any]


class Outcome(NamedTuple):
    """What to send to the robot now.

    Attributes:
        arrays: field name -> (num_envs, *shape), fresh, finite, inside the limits.
        status: `policy`, `bridged`, `stopped` or `disarmed`.
        cause: why it is not the policy's action; "" if it is.
        clipped: values clipped to low/high.
        rate_limited: values cut by max_rate or max_acceleration.
        robot_hold: True if the robot must use its own hold mode; the arrays alone do not hold it.
        level: the ladder's level.
    """

    arrays: dict[str, Numbers]
    status: str
    cause: str
    clipped: int
    rate_limited: int
    robot_hold: bool
    level: Level


class Guard:
    """Decides, step by step, what the robot is sent. Pure: time is handed in.

    Args:
        contract: fields, limits, fallbacks, control_dt.
        num_envs: size of the leading axis.
        rearm: `manual`, `on_reset`, `auto`, or None for the actuator's default.
        actuator: `simulated`, `real`, or None for the contract's.

    Attributes:
        ladder: level, cause, misses, transitions.
        gate: limits and what was last sent.

    Raises:
        ContractError: an unknown rearm rule, `auto` for a real actuator, or limits that leave
            nothing safe to send.
    """

    def __init__(
        self,
        contract: Contract,
        num_envs: int = 1,
        *,
        rearm: str | None = None,
        actuator: str | None = None,
    ) -> None:
        self.ladder = Ladder(contract.control_dt_ns, rearm, actuator or contract.actuator)
        self.gate = Gate(contract, num_envs)
        self._num_envs = num_envs

    def reset(
        self,
        now_ns: int,
        measured: Mapping[str, Numbers] | None = None,
        *,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        """An episode starts.

        Args:
            now_ns: monotonic instant.
            measured: the first observation, if there is one already; else the next `apply`'s.
            mask: bool (num_envs,): only these environments start anew. Their limits are seeded
                anew and the level stays; a reset of all of them is an event of the ladder.

        Raises:
            ContractError: the mask has another shape or dtype.
        """
        if mask is not None and (mask.shape != (self._num_envs,) or mask.dtype != np.bool_):
            raise ContractError(
                f"reset mask: expected bool ({self._num_envs},), got {mask.dtype} {mask.shape}"
            )
        if mask is None or mask.all():
            mask = None
            self.ladder.reset(now_ns)
        self.gate.forget(mask)
        if measured is not None:
            self.gate.seed(measured)

    def succeed(self, former: Guard, now_ns: int) -> None:
        """Take the place of the guard that the same robot had, for another contract.

        What that one latched stays latched, with its cause and the stricter of the rearm rules.
        """
        self.ladder.succeed(former.ladder, now_ns)

    def rearm(self, now_ns: int) -> Level:
        """The operator allows motion again."""
        latched = self.ladder.level in LATCHED
        return self._leave(latched, self.ladder.rearm(now_ns))

    def reconnected(self, now_ns: int) -> Level:
        """The link reached a gateway again, in a new epoch."""
        latched = self.ladder.level in LATCHED
        return self._leave(latched, self.ladder.reconnected(now_ns))

    def _leave(self, latched: bool, level: Level) -> Level:
        # During a stop the robot may have been moved by hand: start from where it is.
        if latched and level not in LATCHED:
            self.gate.refresh()
        return level

    def apply(
        self,
        now_ns: int,
        action: Mapping[str, Numbers] | None,
        measured: Mapping[str, Numbers],
        dt_ns: int | None = None,
        cause: str = "",
    ) -> Outcome:
        """Decide what is sent in this step.

        Args:
            now_ns: monotonic instant.
            action: the policy's fresh answer to this step's question, or None: a miss.
            measured: this step's observation, (num_envs, *shape) each. It may hold anything.
            dt_ns: time since the last command was sent: simulation time where it is known,
                else monotonic time; None counts as control_dt. Held between 0 and two periods.
            cause: for a miss, why, in one word.
        """
        ladder, gate = self.ladder, self.gate
        if gate.pending:
            gate.seed(measured)
        if action is not None:
            if ladder.would_apply:
                admission = gate.admit(action, measured, dt_ns)
                if admission.accepted:
                    ladder.valid(now_ns)
                    _, _, arrays, clipped, limited, _ = admission
                    return Outcome(arrays, "policy", "", clipped, limited, False, ladder.level)
            else:
                admission = gate.examine(action, measured, dt_ns)
                if admission.accepted:
                    self._heard(now_ns, measured)
                    # The policy answers again; what keeps the robot still is the latch alone.
                    latched = ladder.level in LATCHED
                    return self._instead("latched" if latched else "rearmed", measured, dt_ns)
            cause = admission.reason
        ladder.miss(now_ns, cause)
        return self._instead(ladder.cause or cause, measured, dt_ns)

    def _heard(self, now_ns: int, measured: Mapping[str, Numbers]) -> None:
        latched = self.ladder.level in LATCHED
        self.ladder.valid(now_ns)
        self._leave(latched, self.ladder.level)
        if self.gate.pending:
            self.gate.seed(measured)

    def _instead(self, cause: str, measured: Mapping[str, Numbers], dt_ns: int | None) -> Outcome:
        level = self.ladder.level
        if level is Level.DISARMED:
            self.gate.follow(measured)
        arrays, robot_hold = fall_back(self.gate.limiters, measured, self.gate.step_ns(dt_ns))
        return Outcome(arrays, STATUS[level], cause, 0, 0, robot_hold, level)
