"""A policy loaded by Stable-Baselines3 itself, which RUNS THE CODE in the file.

Only for `--trust-pickle`, in the environment the policy was made in. It serves two ends: policies
that cannot be rebuilt from tensors (images, feature extractors of one's own), and holding an export
against the original's own answers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError, PolicyLoadError
from ..policy.packages import how_to_install
from .network import Normalise
from .source import Source
from .spaces import Box
from .torchscript import module_of, source_of_module

__all__ = ["original_answers", "source_of_original"]

Array = NDArray[Any]

_ALGORITHMS = ("PPO", "A2C", "SAC", "TD3", "DDPG", "DQN")


def original_answers(
    data: bytes, source: str, algorithm: str, normalise: Normalise | None
) -> Callable[[Array], Array]:
    """What the original answers to observations (n, inputs), deterministically.

    Raises:
        PolicyLoadError: Stable-Baselines3 cannot load it.
        MissingDependencyError: it is not installed.
    """
    model = _load(data, source, algorithm)
    shape = model.observation_space.shape

    def answer(x: Array) -> Array:
        if normalise is not None:
            x = np.clip((x - normalise.mean) / normalise.std, -normalise.clip, normalise.clip)
        rows = x.astype(np.float32).reshape(-1, *shape)
        actions, _ = model.predict(rows, deterministic=True)
        return np.asarray(actions).reshape(len(rows), -1)

    return answer


def source_of_original(data: bytes, source: str, normalise: Normalise | None) -> Source:
    """The original itself as the start of an export.

    Raises:
        PolicyLoadError: it cannot be loaded, or has no tensor in and out.
        MissingDependencyError: Stable-Baselines3 or torch is not installed.
    """
    model = _load(data, source, "")
    observed, action = model.observation_space, model.action_space
    for what, space in (("observation", observed), ("action", action)):
        if type(space).__name__ != "Box":
            raise PolicyLoadError(f"{source}: its {what} is a {type(space).__name__}, not a Box")
    if normalise is not None:
        raise PolicyLoadError(
            f"{source}: statistics of VecNormalize can only be folded into a policy that is "
            "rebuilt from its tensors"
        )
    policy = model.policy

    def predict(obs: Any) -> Any:
        found = policy._predict(obs, deterministic=True)
        low, high = (found.new_tensor(bound) for bound in (action.low, action.high))
        if policy.squash_output:
            return low + 0.5 * (found + 1.0) * (high - low)
        return found.clamp(low, high)

    boxes = [
        Box(np.asarray(s.low), np.asarray(s.high), np.dtype(s.dtype)) for s in (observed, action)
    ]
    return source_of_module(
        module_of(predict, policy),
        source,
        {"format": "stable-baselines3", "algorithm": type(model).__name__, "trusted": True},
        width=None,
        observation=boxes[0],
        action=boxes[1],
    )


def _load(data: bytes, source: str, algorithm: str) -> Any:
    try:
        import stable_baselines3
    except ImportError as exc:
        raise MissingDependencyError(
            f"--trust-pickle needs Stable-Baselines3, which cannot be imported ({exc}): "
            f"{how_to_install('stable-baselines3')}"
        ) from exc
    failures = []
    for name in (algorithm,) if algorithm else _ALGORITHMS:
        try:
            return getattr(stable_baselines3, name).load(io.BytesIO(data), device="cpu")
        except Exception as exc:  # whatever the file's own code raises, or another algorithm's file
            failures.append(f"{name}: {str(exc)[:120]}")
    raise PolicyLoadError(f"{source} cannot be loaded: {'; '.join(failures)}")
