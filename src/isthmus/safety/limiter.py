"""A limiter: one action field's limits, and the memory they need.

A limiter remembers what was last sent, because rates are bounded against that and not against
what was asked or measured. `limit` only proposes; `commit` makes it so: an action of several
fields is taken as a whole or not at all.

What was last sent is unknown (NaN) for a field with a measured pose from a reset until the pose
is seen: then nothing can be bounded against it, and the action is refused with `no_pose`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import ActionField
from .bounds import Bounds
from .kernels import LOOP_MAX, Lists

__all__ = ["Limiter", "in_dtype", "is_finite"]

Floats = NDArray[np.float64]
Numbers = NDArray[Any]
Mask = NDArray[np.bool_]
Observed = Mapping[str, Numbers]

SAG_SHARE = 0.02
"""Of its range, a robot may stand this far from where it is held and be held there all the same.
A hold that followed every measurement would be limp: an arm sags, and would be let down."""


class Limiter(ABC):
    """What every kind of limiter shares.

    Args:
        field: the action field.
        bounds: its limits, laid out for the batch.
        num_envs: size of the leading axis.

    Attributes:
        field: as given.
        bounds: as given.
        shape: of the arrays, (num_envs, *field.shape).
        dtype: of the arrays.
        rest: the command nearest to doing nothing, in shape and dtype. Not to be written to.
        ready: False while a pose is needed and unknown.
        clipped: how many values the last `limit` clipped to low/high.
        rate_limited: how many it cut by rate or acceleration.
    """

    posed = False

    def __init__(self, field: ActionField, bounds: Bounds, num_envs: int) -> None:
        self.field = field
        self.bounds = bounds
        self.shape = (num_envs, *field.shape)
        self.dtype = field.numpy_dtype
        self.rest = in_dtype(bounds.rest, self.dtype).reshape(self.shape)
        self.ready = True
        self.clipped = self.rate_limited = 0
        self._loops = bounds.low.size <= LOOP_MAX
        self._lists = Lists.of(bounds)
        self._dt_ns = -1
        self._slopes: list[float] = []
        if self._loops and bounds.slope is not None:
            self._slopes = bounds.slope.tolist()
        self._steps: Floats | None = None
        self._steps_list: list[float] = [inf] * bounds.low.size
        self._sent: Any = None
        self._speeds: Any = self._zeros()
        self.forget(None)

    @abstractmethod
    def limit(self, out: Numbers, measured: Observed, dt_ns: int) -> str:
        """Check an action and bring it inside the limits.

        Args:
            out: (num_envs, *shape), C-contiguous and private to the caller; altered in place.
            measured: the observation of this step.
            dt_ns: time since the last command was sent, >= 0.

        Returns:
            "" or the reason why it cannot be accepted.
        """

    @abstractmethod
    def commit(self) -> None:
        """What `limit` proposed last is now what was sent."""

    def sent(self) -> Floats:
        """What was sent last, float64 (num_envs * width,); NaN where unknown."""
        return np.array(self._sent, dtype=np.float64)

    def last(self) -> tuple[Numbers, bool]:
        """What was sent last, in shape and dtype, `rest` where unknown; and if all is known."""
        sent = self.sent()
        unknown = np.isnan(sent)
        known = not unknown.any()
        if not known:
            sent = np.where(unknown, self.bounds.rest, sent)
        with np.errstate(all="ignore"):
            return sent.astype(self.dtype).reshape(self.shape), known

    def pause(self) -> None:  # noqa: B027 - most have no speed to forget
        """A fallback held the last command: the next one starts from standing still."""

    def rested(self) -> None:  # noqa: B027 - most need not remember it
        """A fallback sent `rest`."""

    def forget(self, mask: Mask | None) -> None:
        """An episode starts: what was sent before it means nothing now.

        Args:
            mask: bool (num_envs,), the environments that start anew; None = all.
        """
        rest = np.full_like(self.bounds.rest, np.nan) if self.posed else self.bounds.rest.copy()
        if mask is not None:
            rest = np.where(self._rows(mask), rest, self.sent())
        self._store(rest)

    def seed(self, measured: Observed, *, again: bool) -> None:  # noqa: B027 - not all are posed
        """Take the measured pose as what was last sent, where it is usable.

        Args:
            measured: the observation of this step.
            again: also where something is known already.
        """

    def follow(self, measured: Observed) -> None:  # noqa: B027 - not all are posed
        """Take the measured pose where the robot stands elsewhere than it is held.

        Where what is held lies outside the limits, that is the measured pose each time; where
        it lies inside, the robot must have been moved by more than a sag, `SAG_SHARE`.

        Args:
            measured: the observation of this step.
        """

    def _followed(self, pose: Floats) -> Floats | None:
        """What is held, with the pose where that is to be taken; None if nowhere."""
        sent, bounds = self.sent(), self.bounds
        with np.errstate(all="ignore"):
            strayed = np.abs(pose - sent) > SAG_SHARE * (bounds.high - bounds.low)
            strayed |= ((sent < bounds.low) | (sent > bounds.high)) & (pose != sent)
        strayed &= ~np.isnan(pose)
        return np.where(strayed, pose, sent) if strayed.any() else None

    @abstractmethod
    def _store(self, command: Floats) -> None:
        """Remember float64 (num_envs * width,) as what was sent last."""

    def _zeros(self) -> Any:
        zeros = np.zeros_like(self.bounds.low)
        return zeros.tolist() if self._loops else zeros

    def _rows(self, mask: Mask) -> Mask:
        return np.repeat(mask, self.bounds.low.size // mask.size)

    def _pose(self, measured: Observed, dtype: np.dtype[Any]) -> Floats | None:
        """The measured pose, rounded to a dtype, NaN where it cannot be true."""
        pose = measured.get(self.field.measured_position)
        if pose is None or pose.shape != self.shape or pose.dtype.kind != "f":
            return None
        with np.errstate(all="ignore"):
            flat = pose.astype(dtype).ravel().astype(np.float64)
            good = (flat >= self.bounds.reject_low) & (flat <= self.bounds.reject_high)
        return np.where(good, flat, np.nan)

    def _step_sizes(self, dt_ns: int) -> None:
        if dt_ns != self._dt_ns and self.bounds.slope is not None:
            self._dt_ns = dt_ns
            dt = dt_ns / 1e9
            if self._loops:
                self._steps_list = [slope * dt for slope in self._slopes]
            else:
                with np.errstate(all="ignore"):
                    self._steps = self.bounds.slope * dt


def in_dtype(values: Floats, dtype: np.dtype[Any]) -> Numbers:
    """Values in a dtype; whole numbers at the end of its range stay inside it."""
    if dtype.kind in "iu":
        most = int(np.iinfo(dtype).max)
        return np.array([min(int(value), most) for value in values.tolist()], dtype)
    return values.astype(dtype)


def is_finite(flat: Numbers) -> bool:
    """True if every value is finite. One dot product sees most of it; an alarm is confirmed."""
    if flat.dtype.itemsize > 2:
        with np.errstate(all="ignore"):  # also what the simulator's own np.seterr makes an error
            if isfinite(flat.dot(flat)):
                return True
    return bool(np.isfinite(flat).all())
