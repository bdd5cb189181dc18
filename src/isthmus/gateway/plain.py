"""Clients without a link: json programs that send no Hello.

What a link does for itself is done for them here: the contract's limits and its fallback are
applied by a guard of their own, and what is wrong with their joints is noticed. They get the one
policy that is served, also one that is loaded or replaced later; until there is one they may ping,
ask for the counters and load a policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic_ns

from ..contract import Contract
from ..policy.base import Policy
from ..policy.step import StepArrays
from ..protocol import JsonCodec
from ..safety import Elapsed, Guard
from .inside import Inside, as_measured
from .session import Session
from .settings import Settings

__all__ = ["JointWatch", "admit", "dress", "policy_of", "vacancy"]


class JointWatch:
    """What is wrong with the joints of plain clients: of all of them together.

    One may open a connection for every message, so a session knows nothing of the one before.

    Attributes:
        expected: joints of the joint specification; None if there is none.
        empty_run: observations without a joint, in a row.
    """

    def __init__(self, expected: int | None, cooldown_ns: int) -> None:
        """Let `cooldown_ns` pass between two events about another number of joints."""
        self.expected = expected
        self.empty_run = 0
        self._cooldown_ns = cooldown_ns
        self._told_ns: int | None = None

    def empties(self, joints: int) -> int | None:
        """An observation with so many joints came; the run of empty ones if that has changed."""
        run = 0 if joints else self.empty_run + 1
        changed = run != self.empty_run
        self.empty_run = run
        return run if changed else None

    def differs(self, joints: int) -> bool:
        """True if the specification has another number; an empty observation is told of apart."""
        return self.expected is not None and joints not in (0, self.expected)

    def due(self, now_ns: int) -> bool:
        """True if it is time for an event, which is then counted as told."""
        if self._told_ns is not None and now_ns - self._told_ns < self._cooldown_ns:
            return False
        self._told_ns = now_ns
        return True


def admit(session: Session, policies: Mapping[str, Policy], settings: Settings) -> None:
    """Take in a client that sends no Hello; with the one policy, if there is one."""
    session.protocol.assume_greeting()
    session.plain = True
    policy = policy_of(policies)
    if policy is None:
        codec = session.protocol.codec
        assert isinstance(codec, JsonCodec)  # noqa: S101  (only json clients are plain)
        codec.vacancy = vacancy(policies)
        return
    dress(session, policy, StepArrays(policy, 1), settings)


def dress(session: Session, policy: Policy, arrays: StepArrays, settings: Settings) -> None:
    """Give a plain client its policy, in the place of another or of none.

    Args:
        session: the client's.
        policy: what answers it from now on.
        arrays: its row for that policy.
        settings: the hint it is sent, and whether there is a joint specification.

    Raises:
        LocalProtocolError: a field has a name that json clients cannot use.
    """
    codec = session.protocol.codec
    assert isinstance(codec, JsonCodec)  # noqa: S101  (only json clients are plain)
    session.protocol.bind(policy.contract, 1)
    codec.describe(policy.kind, settings.action_scale)
    before = session.policy.contract if session.policy is not None else None
    session.policy, session.arrays = policy, arrays
    if session.guard is None or before != policy.contract:
        contract = policy.contract
        if settings.joints is not None:
            session.inside = Inside(contract)
            contract = as_measured(contract)
        former, session.guard = session.guard, _guard(contract)
        session.elapsed = Elapsed(contract.actuator)
        if former is not None:
            session.guard.succeed(former, monotonic_ns())


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
