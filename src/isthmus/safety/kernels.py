"""The arithmetic of the gate, each rule twice: over a list, and over an array.

A plain loop is fastest for a handful of values, numpy for many. The twins use the same float64
formulas, so they give the same bits. The array form first screens the whole batch with a few
compares and then works on the few values that need it.

Order, per value: range (reject), position (clip), acceleration, rate. Whatever an earlier rule
asks, the later ones have the last word, and none of them can undo an earlier one: rate and
acceleration only move a command back towards the one sent before it, which was inside.

Rounding. A value that is not altered is passed bit by bit. An altered one is placed short of its
bound by `epsilon` of the numbers involved, so that rounding it to the command's dtype cannot
carry it across.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bounds import Bounds

__all__ = ["LOOP_MAX", "REJECTED", "Lists", "Screen", "limit_array", "limit_deltas", "limit_list"]

Floats = NDArray[np.float64]
Numbers = NDArray[Any]

LOOP_MAX = 48
"""Up to this many values a Python loop beats numpy."""

# Intermediate arrays of this many float64 stay in the cache and off the page allocator.
_CHUNK = 2048

REJECTED = (-1, -1)
"""Counts of an action that is not acceptable at all."""


@dataclass
class Lists:
    """What the loops read: a field's bounds as lists of Python floats."""

    low: list[float]
    high: list[float]
    reject_low: list[float]
    reject_high: list[float]
    acceleration: list[float] | None
    epsilon: float
    tiny: float

    @classmethod
    def of(cls, bounds: Bounds) -> Lists:
        """Read them from the arrays."""
        accel = bounds.acceleration
        return cls(
            low=bounds.low.tolist(),
            high=bounds.high.tolist(),
            reject_low=bounds.reject_low.tolist(),
            reject_high=bounds.reject_high.tolist(),
            acceleration=None if accel is None else accel.tolist(),
            epsilon=bounds.epsilon,
            tiny=bounds.tiny,
        )


def limit_list(
    values: list[float],
    flat: Numbers,
    sent: list[float],
    lists: Lists,
    steps: list[float],
    speeds: list[float],
    dt: float,
) -> tuple[int, int]:
    """Bound absolute commands, by a loop.

    Args:
        values: the commands as Python floats; altered in place where they are cut.
        flat: the same commands in the dtype that is sent; altered alike.
        sent: the commands sent last.
        lists: the field's bounds.
        steps: largest change since `sent`, >= 0; inf = unbounded.
        speeds: change per second of the last step; used with an acceleration limit only.
        dt: seconds since `sent` was sent, >= 0.

    Returns:
        How many were clipped to low/high, and how many were cut by rate or acceleration;
        `REJECTED` if one is not finite or far out of range (`values`, `flat` are then void).
    """
    clipped = limited = index = 0
    accelerations = lists.acceleration
    rows = zip(values, sent, lists.low, lists.high, steps, strict=True)
    for x, p, low, high, step in rows:
        y = x
        if not low <= x <= high:
            if not lists.reject_low[index] <= x <= lists.reject_high[index]:
                return REJECTED
            y = low if x < low else high
            clipped += 1
        cut = False
        if accelerations is not None:
            asked = y - p
            eased = _ease(asked, asked, speeds[index], accelerations[index], dt)
            cut = eased != asked
            if cut:
                y = min(max(p + eased, min(low, p)), max(high, p))
        if cut or not -step <= y - p <= step:
            limited += 1
            y = _towards(p, min(max(y, p - step), p + step), lists.epsilon, lists.tiny)
        if y != x:
            flat[index] = y
            values[index] = flat.item(index)
        index += 1
    return clipped, limited


def limit_deltas(
    values: list[float],
    flat: Numbers,
    base: list[float],
    lists: Lists,
    steps: list[float],
    speeds: list[float],
    dt: float,
) -> tuple[int, int]:
    """Bound increments so that base + increment stays inside, by a loop.

    A base outside the limits (an arm pushed past them) admits only motion back: it is never made
    to jump inside, and never allowed further out.

    Args and returns: as `limit_list`, with `base` what the increments are added to.
    """
    clipped = limited = index = 0
    accelerations = lists.acceleration
    rows = zip(values, base, lists.low, lists.high, steps, strict=True)
    for x, p, low, high, step in rows:
        d = x
        if not low <= p + x <= high:
            if not lists.reject_low[index] <= p + x <= lists.reject_high[index]:
                return REJECTED
            down, up = min(low - p, 0.0), max(high - p, 0.0)
            d = min(max(x, down), up)
            clipped += d != x
            # Even an increment that equals the way to the bound may round across it.
            if d == down or d == up:
                d = _towards(0.0, d, lists.epsilon, lists.tiny)
        cut = False
        if accelerations is not None:
            room = high - p if d > 0 else p - low
            eased = _ease(d, max(room, 0.0), speeds[index], accelerations[index], dt)
            cut = eased != d
            if cut:
                d = min(max(eased, min(low - p, 0.0)), max(high - p, 0.0))
        if cut or not -step <= d <= step:
            limited += 1
            d = min(max(d, -step), step)
        if d != x:
            flat[index] = _towards(0.0, d, lists.epsilon, lists.tiny)
            values[index] = flat.item(index)
        index += 1
    return clipped, limited


def _ease(d: float, room: float, speed: float, acceleration: float, dt: float) -> float:
    """An increment that obeys the acceleration and can still stop within `room`."""
    if dt == 0.0:
        return 0.0
    half = acceleration * dt / 2
    # The speed v from which braking at `acceleration`, in steps of dt, covers exactly `room`:
    # v^2 / 2a + v dt / 2 = room. Without it a command would overshoot its goal and swing for ever.
    reach = (sqrt(half * half + 2 * acceleration * abs(room)) - half) * dt
    if d > reach:
        d = reach
    elif d < -reach:
        d = -reach
    change = acceleration * dt * dt
    least, most = speed * dt - change, speed * dt + change
    return least if d < least else most if d > most else d


def _towards(p: float, y: float, epsilon: float, tiny: float) -> float:
    """`y`, moved so far towards `p` that rounding cannot carry it past where it was."""
    slack = epsilon * (abs(p) + abs(y - p)) + tiny
    return max(p, y - slack) if y > p else min(p, y + slack)


class Screen:
    """The bounds and buffers with which whole batches are screened.

    Args:
        bounds: the field's.
        dtype: of the commands.
        compare: dtype of the numbers compared with low and high (targets: float64).
    """

    def __init__(self, bounds: Bounds, dtype: np.dtype[Any], compare: np.dtype[Any]) -> None:
        self.bounds = bounds
        self.low, self.high = bounds.low.astype(compare), bounds.high.astype(compare)
        self._distance = np.empty(bounds.low.shape, dtype)
        self._bad = np.empty(bounds.low.shape, bool)
        self._also = np.empty(bounds.low.shape, bool)
        self._steps = np.empty(bounds.low.shape, dtype)
        self._steps_of: Floats | None = None

    def suspects(
        self, compared: Numbers, moved: Numbers, origin: Numbers | None, steps: Floats | None
    ) -> NDArray[np.intp]:
        """Indices of the values that may break a rule; the others certainly do not.

        Args:
            compared: what low and high bound.
            moved: the commands; their distance from `origin` (None: from 0) is bounded by steps.
            origin: see `moved`.
            steps: float64, largest distance, or None.
        """
        bad, also = self._bad, self._also
        if self.bounds.acceleration is not None:
            return np.arange(bad.size)
        bad.fill(False)
        if self.bounds.bounded:
            np.less(compared, self.low, out=bad)
            np.logical_or(bad, np.greater(compared, self.high, out=also), out=bad)
        if steps is not None:
            distance = self._distance
            if origin is None:
                np.abs(moved, out=distance)
            else:
                np.abs(np.subtract(moved, origin, out=distance), out=distance)
            np.logical_or(bad, np.greater(distance, self._inner(steps), out=also), out=bad)
        return np.flatnonzero(bad)

    def _inner(self, steps: Floats) -> Numbers:
        # Rounded down, so that a distance that passes here passes the exact rule too.
        if steps is not self._steps_of:
            top = float(np.finfo(self._steps.dtype).max)
            shorter = np.minimum(steps * (1.0 - self.bounds.epsilon), top)
            self._steps[...] = np.maximum(shorter - self.bounds.tiny, 0.0)
            self._steps_of = steps
        return self._steps


def limit_array(
    flat: Numbers,
    indices: NDArray[np.intp],
    origin: Floats,
    bounds: Bounds,
    steps: Floats | None,
    speeds: Floats,
    dt: float,
    *,
    delta: bool,
) -> tuple[int, int]:
    """Bound the commands at `indices`; the twin of `limit_list` and `limit_deltas`.

    Args:
        flat: all commands, finite; altered in place where they are cut.
        indices: which of them to work on.
        origin: float64; for each index what was sent last, or what the increment is added to.
        bounds: the field's.
        steps: float64, for all commands; None = unbounded.
        speeds: float64, for all commands; used with an acceleration limit only.
        dt: seconds, >= 0.
        delta: True if the commands are increments.

    Returns:
        As `limit_list`.
    """
    # Numbers near the end of float64 may overflow to infinity, which bounds nothing: harmless.
    # The caller sees to it that numpy does not raise for it, whatever `np.seterr` says.
    clipped = limited = 0
    for start in range(0, indices.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        counts = _limit_chunk(flat, indices[part], origin[part], bounds, steps, speeds, dt, delta)
        if counts == REJECTED:
            return REJECTED
        clipped += counts[0]
        limited += counts[1]
    return clipped, limited


def _limit_chunk(
    flat: Numbers,
    indices: NDArray[np.intp],
    origin: Floats,
    bounds: Bounds,
    steps: Floats | None,
    speeds: Floats,
    dt: float,
    delta: bool,
) -> tuple[int, int]:
    x = flat[indices].astype(np.float64)
    zero = np.zeros_like(origin) if delta else origin
    y = x.copy()
    clipped = _clip(y, indices, origin, bounds, delta) if bounds.bounded else 0
    if clipped < 0:
        return REJECTED
    cut = np.zeros(y.shape, bool)
    if bounds.acceleration is not None:
        ends = bounds.low[indices], bounds.high[indices]
        most = bounds.acceleration[indices]
        cut = _accelerate(y, zero, origin, ends, most, speeds[indices], dt, delta)
    if steps is not None:
        step = steps[indices]
        cut |= np.abs(y - zero) > step
        over = np.flatnonzero(cut)
        z, s = zero[over], step[over]
        y[over] = np.minimum(np.maximum(y[over], z - s), z + s)
    short = np.flatnonzero(y != x if delta else cut)
    y[short] = _towards_array(zero[short], y[short], bounds.epsilon, bounds.tiny)
    flat[indices] = y
    return clipped, int(np.count_nonzero(cut))


def _clip(y: Floats, indices: NDArray[np.intp], p: Floats, bounds: Bounds, delta: bool) -> int:
    """Clip `y` to low and high in place; how many were, or -1 if one is far out of range."""
    low, high = bounds.low[indices], bounds.high[indices]
    raw = p + y if delta else y
    out = np.flatnonzero((raw < low) | (raw > high))
    if not out.size:
        return 0
    raw, low, high, asked = raw[out], low[out], high[out], y[out]
    where = indices[out]
    if np.any((raw < bounds.reject_low[where]) | (raw > bounds.reject_high[where])):
        return -1
    if delta:
        low, high = np.minimum(low - p[out], 0.0), np.maximum(high - p[out], 0.0)
    inside = np.minimum(np.maximum(asked, low), high)
    clipped = int(np.count_nonzero(inside != asked))
    if delta:
        short = _towards_array(np.zeros_like(inside), inside, bounds.epsilon, bounds.tiny)
        inside = np.where((inside == low) | (inside == high), short, inside)
    y[out] = inside
    return clipped


def _accelerate(
    y: Floats,
    zero: Floats,
    p: Floats,
    ends: tuple[Floats, Floats],
    acceleration: Floats,
    speed: Floats,
    dt: float,
    delta: bool,
) -> NDArray[np.bool_]:
    """Ease `y` in place; which were altered."""
    low, high = ends
    asked = y - zero
    room = np.maximum(np.where(asked > 0, high - p, p - low), 0.0) if delta else asked
    eased = _ease_array(asked, room, speed, acceleration, dt)
    cut: NDArray[np.bool_] = eased != asked
    if delta:
        low, high = low - p, high - p
    inside = np.minimum(np.maximum(zero + eased, np.minimum(low, zero)), np.maximum(high, zero))
    y[...] = np.where(cut, inside, y)
    return cut


def _towards_array(p: Floats, y: Floats, epsilon: float, tiny: float) -> Floats:
    slack = epsilon * (np.abs(p) + np.abs(y - p)) + tiny
    return np.where(y > p, np.maximum(p, y - slack), np.minimum(p, y + slack))


def _ease_array(d: Floats, room: Floats, speed: Floats, acceleration: Floats, dt: float) -> Floats:
    if dt == 0.0:
        return np.zeros_like(d)
    half = acceleration * dt / 2
    reach = (np.sqrt(half * half + 2 * acceleration * np.abs(room)) - half) * dt
    change = acceleration * dt * dt
    d = np.minimum(np.maximum(d, -reach), reach)
    return np.minimum(np.maximum(d, speed * dt - change), speed * dt + change)
