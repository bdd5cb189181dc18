"""Forward and inverse kinematics of the arm, with numpy alone.

Frames are the MJCF's: metres, radians, z up, x forward, the arm straight up at q = 0. Joint order
is `isthmus.sim.mujoco.JOINT_NAMES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .model import arm_model

__all__ = ["inverse", "joint_limits", "link_frames", "tip_jacobian", "tip_position"]

Array = NDArray[np.float64]

# Where a search for a pose starts when the current pose leads nowhere, rad.
_SEARCH_POSES = (
    (0.0, 0.0, 1.5, 0.0, 0.0, 0.0),
    (0.0, 0.6, 1.2, 0.8, 0.0, 0.0),
    (0.0, -0.4, 2.2, 0.6, 0.0, 0.0),
    (0.0, 0.9, 0.6, -0.4, 0.0, 0.0),
    (0.0, 0.2, 2.4, -0.6, 0.0, 0.0),
)


@dataclass(frozen=True)
class _Chain:
    """The links as arrays; `joint[i]` is the joint index of link i, -1 for the base."""

    parents: tuple[int, ...]
    joint: tuple[int, ...]
    positions: Array
    cross: Array
    cross_squared: Array
    axes: Array
    low: Array
    high: Array
    tip_link: int
    tip: Array


@lru_cache(maxsize=1)
def _chain() -> _Chain:
    model = arm_model()
    order = [link.joint for link in model.joints]
    axes = np.array([link.axis for link in model.links])
    cross = np.zeros((len(axes), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2] = -axes[:, 2], axes[:, 1]
    cross[:, 1, 0], cross[:, 1, 2] = axes[:, 2], -axes[:, 0]
    cross[:, 2, 0], cross[:, 2, 1] = -axes[:, 1], axes[:, 0]
    return _Chain(
        parents=tuple(link.parent for link in model.links),
        joint=tuple(order.index(link.joint) if link.joint else -1 for link in model.links),
        positions=np.array([link.position for link in model.links]),
        cross=cross,
        cross_squared=cross @ cross,
        axes=axes,
        low=np.array([link.low for link in model.joints]),
        high=np.array([link.high for link in model.joints]),
        tip_link=model.tip_link,
        tip=np.array(model.tip),
    )


def joint_limits() -> tuple[Array, Array]:
    """Lower and upper joint limits.

    Returns:
        Two float64 (6,), rad.
    """
    chain = _chain()
    return chain.low.copy(), chain.high.copy()


def link_frames(q: ArrayLike) -> tuple[Array, Array]:
    """Pose of every link in the world.

    Args:
        q: (..., 6), rad.

    Returns:
        Rotations float64 (..., 7, 3, 3) and origins float64 (..., 7, 3), m, base link first.
    """
    chain = _chain()
    angles = np.asarray(q, dtype=np.float64)
    batch = angles.shape[:-1]
    sin, cos = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    rotation = np.empty((*batch, len(chain.parents), 3, 3))
    origin = np.empty((*batch, len(chain.parents), 3))
    for i, (parent, j) in enumerate(zip(chain.parents, chain.joint, strict=True)):
        turn: Any = np.eye(3)
        if j >= 0:  # Rodrigues' formula about the joint's axis
            s, c = sin[..., j, :, :], cos[..., j, :, :]
            turn = turn + s * chain.cross[i] + (1.0 - c) * chain.cross_squared[i]
        if parent < 0:
            rotation[..., i, :, :], origin[..., i, :] = turn, chain.positions[i]
        else:
            above = rotation[..., parent, :, :]
            rotation[..., i, :, :] = above @ turn
            origin[..., i, :] = origin[..., parent, :] + above @ chain.positions[i]
    return rotation, origin


def tip_position(q: ArrayLike) -> Array:
    """Where the gripper's tip is.

    Args:
        q: (..., 6), rad. The hand's angle does not matter: the tip is the fixed jaw's.

    Returns:
        float64 (..., 3), m.
    """
    chain = _chain()
    rotation, origin = link_frames(q)
    i = chain.tip_link
    return origin[..., i, :] + rotation[..., i, :, :] @ chain.tip


def tip_jacobian(q: ArrayLike) -> Array:
    """How the tip moves with each joint.

    Args:
        q: (6,), rad.

    Returns:
        float64 (3, 6), m/rad. The hand's column is zero.
    """
    chain = _chain()
    rotation, origin = link_frames(q)
    tip = origin[chain.tip_link] + rotation[chain.tip_link] @ chain.tip
    jacobian = np.zeros((3, len(chain.low)))
    for i, j in enumerate(chain.joint):
        if 0 <= j and i <= chain.tip_link:  # links past the tip's do not carry it
            jacobian[:, j] = np.cross(rotation[i] @ chain.axes[i], tip - origin[i])
    return jacobian


def inverse(
    goal: ArrayLike, start: ArrayLike, *, tolerance: float = 1e-3, iterations: int = 60
) -> tuple[Array, float]:
    """A pose inside the joint limits that brings the tip to a goal.

    Damped least squares from `start`, then from a few known poses turned towards the goal, until
    one arrives. Deterministic.

    Args:
        goal: (3,), m.
        start: (6,), rad; the search begins here, and the hand keeps this angle.
        tolerance: how close is close enough, m.
        iterations: steps for each search.

    Returns:
        The best pose found, float64 (6,), rad, and its distance from the goal, m.
    """
    wanted = np.asarray(goal, dtype=np.float64)
    first = np.asarray(start, dtype=np.float64)
    heading = float(np.arctan2(wanted[1], wanted[0]))
    best, best_error = first, float("inf")
    for pose in (first, *(_facing(pose, heading, first[-1]) for pose in _SEARCH_POSES)):
        q, error = _descend(pose, wanted, tolerance, iterations)
        if error < best_error:
            best, best_error = q, error
        if best_error <= tolerance:
            break
    return best, best_error


def _facing(pose: Sequence[float], heading: float, hand: float) -> Array:
    return np.array([heading, *pose[1:-1], hand])


def _descend(pose: Array, goal: Array, tolerance: float, iterations: int) -> tuple[Array, float]:
    chain = _chain()
    q = np.clip(pose, chain.low, chain.high)
    damping = 1e-3 * np.eye(3)
    for _ in range(iterations):
        gap = goal - tip_position(q)
        if np.linalg.norm(gap) <= tolerance:
            break
        jacobian = tip_jacobian(q)
        # A joint at its stop that would be pushed further cannot help: leave it out.
        push = jacobian.T @ gap
        stuck = ((q <= chain.low) & (push < 0)) | ((q >= chain.high) & (push > 0))
        jacobian[:, stuck] = 0.0
        move = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping, gap)
        q = np.clip(q + np.clip(move, -0.3, 0.3), chain.low, chain.high)
    return q, float(np.linalg.norm(goal - tip_position(q)))
