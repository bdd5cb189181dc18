"""Position, velocity, torque and opaque numbers: the command itself is bounded."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from ..contract import ActionField
from .bounds import Bounds
from .kernels import REJECTED, Screen, limit_array, limit_list
from .limiter import Floats, Limiter, Mask, Numbers, Observed, is_finite

__all__ = ["AbsoluteLimiter"]


class AbsoluteLimiter(Limiter):
    """Bounds the command, and its change since the last one.

    See `Limiter`.
    """

    def __init__(self, field: ActionField, bounds: Bounds, num_envs: int) -> None:
        self.posed = field.semantics == "position" and bool(field.measured_position)
        # Without a pose to start from, the first command after a reset has nothing to be rated
        # against. A velocity does: the robot was told to stand still.
        self._starts_known = self.posed or field.semantics == "velocity"
        self._known = self._starts_known
        super().__init__(field, bounds, num_envs)
        self._screen = None if self._loops else Screen(bounds, self.dtype, self.dtype)
        self._proposed: Any = None
        self._dt = 0.0

    def limit(self, out: Numbers, measured: Observed, dt_ns: int) -> str:
        """See `Limiter.limit`."""
        flat = out.ravel()
        if not self.ready:
            return "no_pose" if is_finite(flat) else "not_finite"
        self._dt = dt_ns / 1e9
        self._step_sizes(dt_ns)
        counts = self._loop(flat) if self._screen is None else self._batch(flat, self._screen)
        if counts == REJECTED:
            return "out_of_range" if is_finite(flat) else "not_finite"
        self.clipped, self.rate_limited = counts
        return ""

    def _loop(self, flat: Numbers) -> tuple[int, int]:
        values = self._proposed = flat.tolist()
        steps = self._steps_list if self._known else [inf] * len(values)
        return limit_list(values, flat, self._sent, self._lists, steps, self._speeds, self._dt)

    def _batch(self, flat: Numbers, screen: Screen) -> tuple[int, int]:
        self._proposed = flat
        if not is_finite(flat):
            return REJECTED
        steps = self._steps if self._known else None
        with np.errstate(all="ignore"):
            suspects = screen.suspects(flat, flat, self._sent, steps)
            if not suspects.size:
                return 0, 0
            origin = self._sent[suspects].astype(np.float64)
            return limit_array(
                flat, suspects, origin, self.bounds, steps, self._speeds, self._dt, delta=False
            )

    def commit(self) -> None:
        """See `Limiter.commit`."""
        if self.bounds.acceleration is not None and self._dt > 0:
            self._speeds = self._speed()
        if self._loops:
            self._sent = self._proposed
        else:
            self._sent[...] = self._proposed
        self._known = True

    def _speed(self) -> Any:
        dt, now = self._dt, self._proposed
        if self._loops:
            return [(y - p) / dt for y, p in zip(now, self._sent, strict=True)]
        with np.errstate(all="ignore"):
            return (now.astype(np.float64) - self._sent) / dt

    def pause(self) -> None:
        """See `Limiter.pause`."""
        self._speeds = self._zeros()

    def rested(self) -> None:
        """See `Limiter.rested`."""
        self._store(self.bounds.rest.copy())

    def forget(self, mask: Mask | None) -> None:
        """See `Limiter.forget`."""
        super().forget(mask)
        self.pause()
        if mask is None:
            self._known = self._starts_known

    def seed(self, measured: Observed, *, again: bool) -> None:
        """See `Limiter.seed`."""
        pose = self._pose(measured, self.dtype) if self.posed else None
        if pose is not None:
            sent = self.sent()
            self._store(np.where(~np.isnan(pose) & (np.isnan(sent) | again), pose, sent))
            self.pause()

    def follow(self, measured: Observed) -> None:
        """See `Limiter.follow`."""
        pose = self._pose(measured, self.dtype) if self.posed else None
        held = None if pose is None else self._followed(pose)
        if held is not None:
            self._store(held)
            self.pause()

    def _store(self, command: Floats) -> None:
        with np.errstate(all="ignore"):
            self._sent = command.tolist() if self._loops else command.astype(self.dtype)
        self.ready = not (self.posed and bool(np.isnan(command).any()))
