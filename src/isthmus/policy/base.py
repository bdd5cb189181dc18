"""The protocol every policy satisfies, and the arrays it is called with.

A policy is called by one thread at a time. It owns no session: whatever it must remember from
one step to the next is handed in as `state` and handed back as `next_state`, one row per
environment, so that the caller may put rows of many sessions into one batch, commit a row when
its action has been sent, and forget it when its episode ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract, Field

__all__ = ["ArrayMap", "Policy", "allocate_action", "allocate_observation", "allocate_state"]

Array = NDArray[Any]

ArrayMap = Mapping[str, Array]
"""Arrays by name. What is written through it is the arrays, never the mapping."""


@runtime_checkable
class Policy(Protocol):
    """Turns a batch of observations into a batch of actions.

    Rows are independent: row i of the action depends on row i of the observation and of the
    state alone. The last bits of a row may still depend on the size of its batch.
    """

    @property
    def name(self) -> str:
        """A word for people: the file's stem, the address, the function."""

    @property
    def kind(self) -> str:
        """What really runs: `onnx`, `numpy`, `constant`, `dummy_zero`, `callable`, `remote`."""

    @property
    def digest(self) -> str:
        """SHA-256 as 64 hex digits, over everything that decides what the policy answers."""

    @property
    def contract(self) -> Contract:
        """The contract it was made for."""

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """The state at the start of an episode.

        Args:
            num_envs: rows wanted, at least 1.

        Returns:
            Fresh arrays (num_envs, ...) by name; empty if the policy is stateless.
        """

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Answer `n` observations; `n` may differ from call to call.

        No reference to any of these arrays is kept after the call.

        Args:
            observation: arrays (n, *shape), C-contiguous, in the contract's dtypes, finite.
            action: arrays (n, *shape) in the contract's dtypes, allocated by the caller and
                written here. Undefined after an error.
            state: arrays (n, ...) as `initial_state` made them or an earlier call wrote them.
            next_state: arrays of the same names, shapes and dtypes, written here; they may be
                the arrays of `state` themselves. Undefined after an error.

        Raises:
            InferenceError: the policy failed. Non-finite actions are not looked for here.
        """

    def close(self) -> None:
        """Give memory, threads and connections back. Calling it again does nothing."""


def allocate_action(contract: Contract, num_envs: int) -> dict[str, Array]:
    """Zeroed action arrays (num_envs, *shape) in the contract's dtypes, by field name."""
    return _allocate(contract.action, num_envs)


def allocate_observation(contract: Contract, num_envs: int) -> dict[str, Array]:
    """Zeroed observation arrays (num_envs, *shape), for warming a policy up."""
    return _allocate(contract.observation, num_envs)


def allocate_state(state: ArrayMap) -> dict[str, Array]:
    """Zeroed arrays of the names, shapes and dtypes of `state`, to serve as `next_state`."""
    return {name: np.zeros_like(array) for name, array in state.items()}


def _allocate(fields: Iterable[Field], num_envs: int) -> dict[str, Array]:
    return {f.name: np.zeros((num_envs, *f.shape), f.numpy_dtype) for f in fields}
