"""The statistics in a pickle of Stable-Baselines3's `VecNormalize`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import PolicyLoadError
from .arrays import array_of, number_of
from .network import Normalise
from .spaces import SPACE_NAMES
from .unpickle import Made, read

__all__ = ["read_vecnormalize"]

_CLASS = "stable_baselines3.common.vec_env.vec_normalize.VecNormalize"
_STATISTICS = "stable_baselines3.common.running_mean_std.RunningMeanStd"
_NAMES = SPACE_NAMES | {_CLASS, _STATISTICS}


def read_vecnormalize(data: bytes, source: str) -> Normalise | None:
    """Read how observations are normalised before the policy sees them.

    Args:
        data: the pickle, as `VecNormalize.save` writes it.
        source: how messages call it.

    Returns:
        Mean, standard deviation (with its epsilon) and clip; None if it leaves observations alone.

    Raises:
        PolicyLoadError: it is no such pickle, or names anything that none of them holds.
    """
    found = read(data, source, _NAMES.__contains__)
    if not isinstance(found, Made) or str(found.by) != _CLASS or not isinstance(found.state, dict):
        raise PolicyLoadError(
            f"{source} is no VecNormalize: expected what VecNormalize.save writes"
        )
    try:
        return _statistics(found.state)
    except (ValueError, KeyError) as exc:
        raise PolicyLoadError(f"{source}: the statistics cannot be read: {exc}") from exc


def _statistics(state: dict[Any, Any]) -> Normalise | None:
    if state["norm_obs"] is False:
        return None
    running = state["obs_rms"]
    if isinstance(running, dict):
        raise ValueError("observations by name (a Dict space) are not exported")
    made = isinstance(running, Made) and str(running.by) == _STATISTICS
    if not made or not isinstance(running.state, dict):
        raise ValueError("expected the running means of one row")
    mean = array_of(running.state["mean"]).astype(np.float64).ravel()
    variance = array_of(running.state["var"]).astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):  # of less than zero: found out below
        std = np.sqrt(variance + number_of(state["epsilon"]))
    clip = number_of(state["clip_obs"])
    if mean.shape != std.shape or not (np.isfinite(mean).all() and (std > 0).all() and clip > 0):
        raise ValueError("mean, variance and clip do not agree")
    return Normalise(mean, std, clip)
