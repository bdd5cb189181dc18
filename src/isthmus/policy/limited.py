"""A policy whose contract has tighter limits than it came with."""

from __future__ import annotations

from ..contract import Contract
from ..contract.jointspec import JointSpec
from ..errors import ContractError, PolicyLoadError
from .base import Array, ArrayMap, Policy

__all__ = ["LimitedPolicy", "limited"]


class LimitedPolicy:
    """Another policy, behind a contract with other limits.

    Args:
        policy: what answers.
        contract: its contract, but for the limits.
    """

    def __init__(self, policy: Policy, contract: Contract) -> None:
        self.contract = contract
        self.name = policy.name
        self.kind = policy.kind
        self.digest = policy.digest
        self._policy = policy

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """See `Policy.initial_state`."""
        return self._policy.initial_state(num_envs)

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """See `Policy.infer`."""
        self._policy.infer(observation, action, state, next_state)

    def close(self) -> None:
        """See `Policy.close`."""
        self._policy.close()


def limited(policy: Policy, spec: JointSpec | None) -> Policy:
    """The policy with a joint specification's limits beside its own; itself if there is none.

    Raises:
        PolicyLoadError: they do not fit; the policy has been closed.
    """
    if spec is None:
        return policy
    try:
        return LimitedPolicy(policy, spec.tighten(policy.contract))
    except ContractError as exc:
        policy.close()
        raise PolicyLoadError(f"policy {policy.name!r}: {exc}") from exc
