"""One session's arrays for a step, and the step itself.

A session infers on its own private rows: nothing is gathered for a lone one, and a batch copies a
session's rows once. Recurrent state is committed only when its action has been sent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InferenceError
from ..protocol.layout import action_layout
from ..protocol.views import all_finite
from .base import ArrayMap, Policy, allocate_state

__all__ = ["StepArrays", "run"]


def run(
    policy: Policy, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
) -> None:
    """`policy.infer`, for a policy that may keep no promise about what it raises.

    Raises:
        InferenceError: the policy failed, in whatever way; `sys.exit` is one of them.
        KeyboardInterrupt: somebody wants the process to end.
    """
    try:
        policy.infer(observation, action, state, next_state)
    except (InferenceError, KeyboardInterrupt):
        raise
    except BaseException as exc:
        raise InferenceError(f"policy {policy.name!r} raised {type(exc).__name__}: {exc}") from exc


class StepArrays:
    """What a session keeps for its policy.

    Attributes:
        policy: who answers.
        num_envs: rows.
        action: arrays (num_envs, *shape) the policy writes.
        state: what a recurrent policy remembers; empty if it is stateless.
        next_state: what it will remember once the action has been sent.
    """

    def __init__(self, policy: Policy, num_envs: int) -> None:
        """Allocate, and begin an episode."""
        self.policy = policy
        self.num_envs = num_envs
        layout = action_layout(policy.contract, num_envs)
        memory = memoryview(bytearray(layout.size))
        self.action: dict[str, NDArray[Any]] = layout.blocks[0].views(memory)
        self._regions = layout.blocks[0].float_regions(memory)
        self._initial = policy.initial_state(num_envs)
        self.state = policy.initial_state(num_envs)
        self.next_state = allocate_state(self.state)

    def begin_episode(self, mask: list[bool] | None) -> None:
        """Forget what was remembered, in all environments or those of `mask`."""
        rows: Any = slice(None) if mask is None else np.array(mask, bool)
        for name, array in self.state.items():
            array[rows] = self._initial[name][rows]

    def infer(self, observation: ArrayMap) -> None:
        """Fill `action` and `next_state`.

        Raises:
            InferenceError: the policy failed.
        """
        run(self.policy, observation, self.action, self.state, self.next_state)

    def finite(self) -> bool:
        """True if every float of `action` is finite."""
        return all_finite(self._regions)

    def commit(self) -> None:
        """The action has been sent: what was remembered with it counts now."""
        if self.state:
            self.state, self.next_state = self.next_state, self.state
