"""The gate: what a policy asks goes in, what a robot may be sent comes out.

Order: fields, shape and dtype -> finite -> range -> position -> acceleration -> rate. What fails
before position is rejected as a whole and nothing of it is sent; from there on values are brought
inside and counted. (Decoding, interface, epoch, seq and age are the protocol's, before this.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..contract import ActionField, Contract
from .absolute import AbsoluteLimiter
from .bounds import bounds_of
from .delta import DeltaLimiter
from .limiter import Limiter
from .whole import WholeLimiter

__all__ = ["REASONS", "Admission", "Gate"]

Numbers = NDArray[Any]

REASONS: dict[str, str] = {
    "missing_field": "an action field of the contract is not there",
    "unknown_field": "there is a field that the contract does not name",
    "shape": "not an array of (num_envs, *shape)",
    "dtype": "not the contract's dtype",
    "not_finite": "holds a NaN or an infinity",
    "out_of_range": "a value outside twice the declared range; whole numbers: outside the range",
    "no_pose": "the measured pose it must be bounded against was never seen in working order",
}
"""Why an action is rejected."""

MAX_PERIODS = 2
"""A step is rated over at most this many periods, however long ago the last command was sent."""


class Admission(NamedTuple):
    """The gate's answer.

    Attributes:
        accepted: False if nothing of the action may be sent.
        reason: why not, one of `REASONS`; "" if accepted.
        arrays: field name -> (num_envs, *shape), fresh; empty if not accepted.
        clipped: values clipped to low/high.
        rate_limited: values cut by max_rate or max_acceleration.
        raw: the action as it was handed in, not copied.
    """

    accepted: bool
    reason: str
    arrays: dict[str, Numbers]
    clipped: int
    rate_limited: int
    raw: Mapping[str, Numbers]

    def altered(self, name: str) -> NDArray[np.intp]:
        """Which values of a field were cut: indices into the flattened (num_envs, *shape).

        Worked out when asked, from the caller's own action: ask before its buffers are reused.
        """
        return np.flatnonzero(self.arrays[name] != self.raw[name])


class Gate:
    """The limits of every action field of a contract, and what was last sent.

    Args:
        contract: names the fields and their limits.
        num_envs: size of the leading axis.

    Attributes:
        limiters: field name -> its limiter, in wire order.
        pending: True if the measured pose is still to be taken, by `seed`.

    Raises:
        ContractError: the limits leave nothing safe to send.
    """

    def __init__(self, contract: Contract, num_envs: int = 1) -> None:
        self.limiters: dict[str, Limiter] = {
            field.name: _limiter(contract, field, num_envs) for field in contract.action
        }
        self._all = tuple(self.limiters.items())
        self._dt_ns = contract.control_dt_ns
        self._again = False
        self.pending = not all(limiter.ready for limiter in self.limiters.values())

    def forget(self, mask: NDArray[np.bool_] | None = None) -> None:
        """An episode starts: what was sent before it means nothing now.

        Args:
            mask: bool (num_envs,), the environments that start anew; None = all.
        """
        for limiter in self.limiters.values():
            limiter.forget(mask)
        self.pending = not all(limiter.ready for limiter in self.limiters.values())

    def refresh(self) -> None:
        """Take the measured pose anew at the next `seed`, also where something is known."""
        self._again = self.pending = True

    def seed(self, measured: Mapping[str, Numbers]) -> None:
        """Take the measured pose as what was last sent, where it is needed and usable.

        A pose that is not finite, or outside twice the declared range, is no pose: what is
        known stays, what is unknown is asked for again (`pending`).

        Args:
            measured: observation field name -> (num_envs, *shape).
        """
        for limiter in self.limiters.values():
            limiter.seed(measured, again=self._again)
        self._again = False
        self.pending = not all(limiter.ready for limiter in self.limiters.values())

    def follow(self, measured: Mapping[str, Numbers]) -> None:
        """Hold a robot that was moved where it stands now. For DISARMED only: nothing was sent.

        Args:
            measured: observation field name -> (num_envs, *shape).
        """
        for _, limiter in self._all:
            limiter.follow(measured)

    def admit(
        self,
        action: Mapping[str, Numbers],
        measured: Mapping[str, Numbers],
        dt_ns: int | None = None,
    ) -> Admission:
        """Check an action, bring it inside the limits, and remember it as sent.

        Args:
            action: field name -> (num_envs, *shape). Read once and not modified, so it may lie
                in memory that the peer can still write to.
            measured: the observation of this step; only fields that actions name are read.
            dt_ns: time since the last command was sent; see `step_ns`.

        Returns:
            What may be sent, or why nothing of it.
        """
        admission = self.examine(action, measured, dt_ns)
        if admission.accepted:
            for _, limiter in self._all:
                limiter.commit()
        return admission

    def examine(
        self,
        action: Mapping[str, Numbers],
        measured: Mapping[str, Numbers],
        dt_ns: int | None = None,
    ) -> Admission:
        """As `admit`, but nothing is remembered: for an action that will not be sent."""
        if len(action) > len(self._all):
            return _reject("unknown_field", action)
        step_ns = self.step_ns(dt_ns)
        arrays: dict[str, Numbers] = {}
        clipped = rate_limited = 0
        for name, limiter in self._all:
            raw = action.get(name)
            reason = _misfit(raw, limiter)
            if raw is None or reason:
                return _reject(reason, action)
            out = arrays[name] = np.array(raw, order="C")
            reason = limiter.limit(out, measured, step_ns)
            if reason:
                return _reject(reason, action)
            clipped += limiter.clipped
            rate_limited += limiter.rate_limited
        return Admission(True, "", arrays, clipped, rate_limited, action)

    def step_ns(self, dt_ns: int | None) -> int:
        """The time a step is rated over.

        Unknown (None) counts as control_dt. It is held between 0 and two periods: while no time
        passes nothing may move, time that runs backwards is a reset nobody announced, and after
        a pause the way lost is not made up for in one leap.
        """
        if dt_ns is None:
            return self._dt_ns
        return min(max(dt_ns, 0), MAX_PERIODS * self._dt_ns)


def _limiter(contract: Contract, field: ActionField, num_envs: int) -> Limiter:
    with np.errstate(all="ignore"):
        bounds = bounds_of(field, contract.limits.get(field.name), num_envs)
        if not field.is_float:
            return WholeLimiter(field, bounds, num_envs)
        kind = DeltaLimiter if field.semantics == "delta" else AbsoluteLimiter
        return kind(field, bounds, num_envs)


def _misfit(raw: object, limiter: Limiter) -> str:
    if raw is None:
        return "missing_field"
    if not isinstance(raw, np.ndarray) or raw.shape != limiter.shape:
        return "shape"
    return "" if raw.dtype == limiter.dtype else "dtype"


def _reject(reason: str, action: Mapping[str, Numbers]) -> Admission:
    return Admission(False, reason, {}, 0, 0, action)
