"""Clients without a link: json programs that send no Hello.

What a link does for itself is done for them here: the contract's limits and its fallback are
applied by a guard of their own, and what is wrong with their joints is noticed. They get the one
policy that is served, also one that is loaded or replaced later; until there is one they may ping,
ask for the counters and load a policy.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..contract import Contract
from ..policy.base import Policy
from ..policy.step import StepArrays
from ..protocol import JsonCodec
from ..safety import Guard
from .session import PlainClient, Session

__all__ = ["admit", "dress", "policy_of", "vacancy"]


def admit(
    session: Session, policies: Mapping[str, Policy], action_scale: float | None = None
) -> None:
    """Take in a client that sends no Hello; with the one policy, if there is one."""
    session.protocol.assume_greeting()
    session.plain = PlainClient()
    policy = policy_of(policies)
    if policy is None:
        codec = session.protocol.codec
        assert isinstance(codec, JsonCodec)  # noqa: S101  (only json clients are plain)
        codec.vacancy = vacancy(policies)
        return
    dress(session, policy, StepArrays(policy, 1), action_scale)


def dress(
    session: Session, policy: Policy, arrays: StepArrays, action_scale: float | None = None
) -> None:
    """Give a plain client its policy, in the place of another or of none.

    Raises:
        LocalProtocolError: a field has a name that json clients cannot use.
    """
    codec = session.protocol.codec
    assert isinstance(codec, JsonCodec)  # noqa: S101  (only json clients are plain)
    session.protocol.bind(policy.contract, 1)
    codec.describe(policy.kind, action_scale)
    before = session.policy.contract if session.policy is not None else None
    session.policy, session.arrays = policy, arrays
    if session.guard is None or before != policy.contract:  # else what it latched stays latched
        session.guard = _guard(policy.contract)


def policy_of(policies: Mapping[str, Policy]) -> Policy | None:
    """The policy that plain clients get: the only one."""
    return next(iter(policies.values())) if len(policies) == 1 else None


def vacancy(policies: Mapping[str, Policy]) -> str:
    """Why a plain client has no policy."""
    if not policies:
        return "no policy is loaded; load one with load_policy, or serve with a MODEL"
    return (
        f"the gateway serves several policies ({', '.join(policies)}), and a client without a "
        "handshake cannot choose one; serve the one it needs by itself, or use isthmus.connect"
    )


def _guard(contract: Contract) -> Guard:
    return Guard(contract, 1, rearm="auto" if contract.actuator == "simulated" else "manual")
