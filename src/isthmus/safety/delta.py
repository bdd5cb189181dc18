"""Increments: what is bounded is the target they lead to, and their speed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..contract import ActionField
from .bounds import Bounds
from .kernels import REJECTED, Screen, limit_array, limit_deltas
from .limiter import Floats, Limiter, Mask, Numbers, Observed, is_finite

__all__ = ["DeltaLimiter"]

_FLOAT64 = np.dtype(np.float64)


class DeltaLimiter(Limiter):
    """Bounds base + increment, where the base is the last target or the measured pose.

    What was last "sent" is the target, in float64, as the receiver of the increments keeps it.
    Without limits on the target nothing needs to be remembered. See `Limiter`.
    """

    def __init__(self, field: ActionField, bounds: Bounds, num_envs: int) -> None:
        self._follows = field.reference == "measured"
        self.posed = bounds.bounded
        zeros = np.zeros_like(bounds.low)
        self._good: Any = np.full_like(zeros, np.nan)
        super().__init__(field, bounds, num_envs)
        self._base: Any = zeros.tolist() if self._loops else zeros
        self._screen = None if self._loops else Screen(bounds, self.dtype, _FLOAT64)
        self._target = zeros.copy()
        self._values: list[float] = []
        self._flat: Numbers = zeros
        self._dt = 0.0

    def limit(self, out: Numbers, measured: Observed, dt_ns: int) -> str:
        """See `Limiter.limit`."""
        flat = self._flat = out.ravel()
        if self.posed:
            base = self._measure(measured) if self._follows else self._sent
            if base is None or not self.ready:
                return "no_pose" if is_finite(flat) else "not_finite"
            self._base = base
        self._dt = dt_ns / 1e9
        self._step_sizes(dt_ns)
        counts = self._loop(flat) if self._screen is None else self._batch(flat, self._screen)
        if counts == REJECTED:
            return "out_of_range" if is_finite(flat) else "not_finite"
        self.clipped, self.rate_limited = counts
        return ""

    def _loop(self, flat: Numbers) -> tuple[int, int]:
        values = self._values = flat.tolist()
        return limit_deltas(
            values, flat, self._base, self._lists, self._steps_list, self._speeds, self._dt
        )

    def _batch(self, flat: Numbers, screen: Screen) -> tuple[int, int]:
        if not is_finite(flat):
            return REJECTED
        base, target = self._base, self._target
        with np.errstate(all="ignore"):
            if self.posed:
                np.add(base, flat, out=target)
            suspects = screen.suspects(target, flat, None, self._steps)
            if not suspects.size:
                return 0, 0
            origin, steps, dt = base[suspects], self._steps, self._dt
            counts = limit_array(
                flat, suspects, origin, self.bounds, steps, self._speeds, dt, delta=True
            )
            if self.posed:
                target[suspects] = origin + flat[suspects]
        return counts

    def _measure(self, measured: Observed) -> Any:
        """This step's measured pose, its last good value where it is unusable; None if never."""
        pose = measured.get(self.field.measured_position)
        if self._loops and pose is not None and pose.shape == self.shape:
            values = pose.ravel().tolist()
            ranges = zip(values, self._lists.reject_low, self._lists.reject_high, strict=True)
            if pose.dtype.kind == "f" and all([low <= p <= high for p, low, high in ranges]):
                self._good = values
                return values
        merged, fresh = np.array(self._good), self._pose(measured, _FLOAT64)
        if fresh is not None:
            merged = np.where(np.isnan(fresh), merged, fresh)
        self._good = merged
        if np.isnan(merged).any():
            return None
        return merged.tolist() if self._loops else merged

    def commit(self) -> None:
        """See `Limiter.commit`."""
        if self.bounds.acceleration is not None and self._dt > 0:
            dt = self._dt
            if self._loops:
                self._speeds = [d / dt for d in self._values]
            else:
                with np.errstate(all="ignore"):
                    self._speeds = self._flat.astype(np.float64) / dt
        if not self.posed:
            return
        if self._loops:
            self._sent = [p + d for p, d in zip(self._base, self._values, strict=True)]
        else:
            self._sent, self._target = self._target, self._sent

    def to_target(self, measured: Observed, dt_ns: int) -> Numbers:
        """The increment that holds the last target against drift, inside the limits.

        With reference `target`, and where the pose is unknown, that is 0.

        Args:
            measured: the observation of this step.
            dt_ns: time since the last command was sent, >= 0.

        Returns:
            In shape and dtype.
        """
        out: Numbers = self.rest.copy()
        base = self._measure(measured) if self._follows and self.ready else None
        if base is None:
            return out
        with np.errstate(all="ignore"):
            out[...] = (self.sent() - base).reshape(self.shape)
        # Proposed and never committed: the target stays what it was.
        if self.limit(out, measured, dt_ns):
            out[...] = self.rest
        return out

    def pause(self) -> None:
        """See `Limiter.pause`."""
        self._speeds = self._zeros()

    def rested(self) -> None:
        """See `Limiter.rested`; an increment of 0 leaves the target where it is."""
        self.pause()

    def forget(self, mask: Mask | None) -> None:
        """See `Limiter.forget`."""
        super().forget(mask)
        self.pause()
        rows = True if mask is None else self._rows(mask)
        self._good = np.where(rows, np.nan, np.array(self._good))

    def seed(self, measured: Observed, *, again: bool) -> None:
        """See `Limiter.seed`.

        With reference `target` the receiver adds to *its* last target, which only an episode's
        start makes it forget: a known target is then kept, whatever the pose.
        """
        pose = self._pose(measured, _FLOAT64) if self.posed else None
        if pose is not None:
            sent = self.sent()
            again = again and self._follows
            self._store(np.where(~np.isnan(pose) & (np.isnan(sent) | again), pose, sent))

    def follow(self, measured: Observed) -> None:
        """See `Limiter.follow`; with reference `target` nothing, as in `seed`."""
        pose = self._pose(measured, _FLOAT64) if self.posed and self._follows else None
        held = None if pose is None else self._followed(pose)
        if held is not None:
            self._store(held)

    def _store(self, command: Floats) -> None:
        self._sent = command.tolist() if self._loops else command
        self.ready = not (self.posed and bool(np.isnan(command).any()))
