"""A policy that is a model and a manifest, whatever runs the model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from ..errors import InferenceError, PolicyLoadError
from .base import Array, ArrayMap, allocate_action, allocate_observation, allocate_state
from .manifest import Manifest
from .mapping import Buffers, Rows, Run
from .wiring import Wiring

__all__ = ["ModelPolicy"]

PROBED_BATCHES: tuple[int, ...] = (1, 2)
"""Sizes a model must accept before it is used: shapes inside a graph show only when it runs."""


class ModelPolicy:
    """Satisfies `Policy` for a model behind a manifest.

    Args:
        manifest: what feeds what.
        wiring: the same, held against the model.
        bind: prepares the model for the buffers of one batch size and returns what runs it.
        kind: `onnx` or `numpy`.
        name: a word for people.
    """

    def __init__(
        self,
        manifest: Manifest,
        wiring: Wiring,
        bind: Callable[[Rows], Run],
        *,
        kind: str,
        name: str,
    ) -> None:
        self.name = name
        self.kind = kind
        self.contract = manifest.contract
        # The manifest pins the model, and scales and offsets live in it; a twin answers with
        # other last bits, so what runs is part of the digest too.
        same = kind == manifest.kind
        twin = hashlib.sha256(f"{kind} {manifest.digest}".encode()).hexdigest()
        self.digest = manifest.digest if same else twin
        self._wiring = wiring
        self._buffers: Buffers | None = Buffers(wiring, bind)
        # Entering errstate costs as much as gathering three fields: only where it can matter.
        self._can_overflow = wiring.can_overflow or kind == "numpy"
        self._field = manifest.contract.action[0].name

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """Zeros for every recurrent tensor and the last action."""
        return {
            name: np.zeros((num_envs, *row.sizes), row.dtype)
            for name, row in self._wiring.state.items()
        }

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Answer a batch; see `Policy.infer`.

        Raises:
            InferenceError: an array is missing or misshapen, the model failed, or the policy is
                closed.
        """
        if self._buffers is None:
            raise InferenceError(f"policy {self.name!r} is closed")
        try:
            rows = self._buffers.rows(len(action[self._field]))
            if self._can_overflow:
                with np.errstate(over="ignore", invalid="ignore"):
                    rows.step(observation, action, state, next_state)
            else:
                rows.step(observation, action, state, next_state)
        except InferenceError:
            raise
        except Exception as exc:
            raise InferenceError(
                f"policy {self.name!r} ({self.kind}) failed: {type(exc).__name__}: {exc}"
            ) from exc

    def close(self) -> None:
        """Give the buffers and the model back."""
        self._buffers = None

    def probe(self) -> None:
        """Run small batches of zeros, so that a model that cannot work is refused now.

        Raises:
            PolicyLoadError: it failed on one of them.
        """
        for count in PROBED_BATCHES:
            state = self.initial_state(count)
            observation = allocate_observation(self.contract, count)
            action = allocate_action(self.contract, count)
            try:
                self.infer(observation, action, state, allocate_state(state))
            except InferenceError as exc:
                raise PolicyLoadError(
                    f"{self.name}: the model cannot run a batch of {count}: {exc}"
                ) from exc
