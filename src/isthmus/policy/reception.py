"""The policy side of the handshake: what a Hello is held against, and what it is told.

The gateway and the in-process transport answer with the same words.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..contract import Contract
from ..contract.diff import diff
from ..errors import ContractError, RefusedError
from ..protocol.bounds import MAX_NUM_ENVS, PACINGS, WIRE_VERSION
from ..protocol.layout import action_layout, observation_layout
from ..protocol.messages import Hello, Welcome
from ..version import VERSION
from .base import Policy

__all__ = ["DEADLINE_SHARE", "accept", "facts", "find_policy", "welcome"]

DEADLINE_SHARE = 0.8
"""Part of control_dt that is the deadline where nobody names one."""


def find_policy(policies: Mapping[str, Policy], name: str) -> Policy:
    """The policy of that name, or the only one.

    Raises:
        RefusedError: there is none of that name, or the name is needed.
    """
    if name in policies:
        return policies[name]
    known = ", ".join(policies)
    if not policies:
        raise RefusedError(
            "no policy is loaded; load one with load_policy, or serve with a MODEL",
            code="policy_unavailable",
            retryable=True,
        )
    if name:
        raise RefusedError(
            f"no policy is called {name!r}; the gateway serves {known}", code="policy_unavailable"
        )
    if len(policies) != 1:
        raise RefusedError(
            f"the gateway serves several policies: name one with connect(policy=...): {known}",
            code="policy_unavailable",
        )
    return next(iter(policies.values()))


def accept(hello: Hello, policy: Policy, infer_ns: int) -> None:
    """Hold a Hello against a policy.

    Args:
        hello: what the link said.
        policy: the one it will get.
        infer_ns: what one inference takes, measured.

    Raises:
        RefusedError: they do not fit; the message says what to change.
    """
    contract = policy.contract
    if hello.wire_version != WIRE_VERSION:
        raise RefusedError(
            f"the link speaks wire version {hello.wire_version}, the gateway {WIRE_VERSION}; "
            "install the same isthmus on both sides",
            code="wire_version",
        )
    if hello.pacing not in PACINGS:
        raise RefusedError(
            f"pacing {hello.pacing!r}: use one of {', '.join(PACINGS)}", code="pacing"
        )
    try:
        contract.check_pacing(hello.pacing)
    except ContractError as exc:
        raise RefusedError(str(exc), code="pacing") from exc
    _check_interface(hello, policy)
    _check_size(hello, contract)
    deadline_ns = hello.deadline_ns or int(contract.control_dt_ns * DEADLINE_SHARE)
    if hello.pacing == "realtime" and deadline_ns <= infer_ns:
        raise RefusedError(
            f"policy {policy.name!r} takes {infer_ns / 1e6:.2f} ms for one inference, and the "
            f"link's deadline is {deadline_ns / 1e6:.2f} ms: it could never answer in "
            "time. Allow a longer deadline, or export a faster model",
            code="policy_too_slow",
        )


def welcome(
    hello: Hello,
    policy: Policy,
    *,
    session: str,
    token: str,
    resumed: bool = False,
    upgrade: dict[str, Any] | None = None,
) -> Welcome:
    """The answer to a Hello that was accepted."""
    return Welcome(
        WIRE_VERSION,
        VERSION,
        session,
        token,
        policy.contract.to_dict(),
        {"name": policy.name, "kind": policy.kind, "digest": policy.digest},
        hello.pacing,
        resumed,
        upgrade or {},
        facts(),
        epoch=hello.epoch,
    )


def facts() -> dict[str, Any]:
    """What this process is made of, for the other side's records."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "isthmus": VERSION,
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _check_interface(hello: Hello, policy: Policy) -> None:
    """What the link says of its interface must be ours, by its hash and by the contract itself."""
    ours = policy.contract
    theirs: Contract | None = None
    if hello.contract is not None:
        try:
            theirs = Contract.from_dict(hello.contract)
        except ContractError as exc:
            raise RefusedError(
                f"the link's contract cannot be read: {exc}", code="interface_mismatch"
            ) from exc
    found = [hello.interface_hash] if hello.interface_hash else []
    if theirs is not None:
        found.append(theirs.interface_hash)
    other = next((digest for digest in found if digest != ours.interface_hash), "")
    if not other:
        return
    text = (
        f"the link's interface is {other[:16]}, that of policy {policy.name!r} is "
        f"{ours.interface_hash[:16]}"
    )
    if theirs is None:
        text += "; connect with contract=None to adopt the gateway's"
    elif theirs.interface_hash == ours.interface_hash:
        text += ", and the contract that came with it has another hash: send its own, or none"
    else:
        text += f"\n{diff(theirs, ours, 'link', 'gateway')}"
    raise RefusedError(text, code="interface_mismatch")


def _check_size(hello: Hello, contract: Contract) -> None:
    if not 1 <= hello.num_envs <= MAX_NUM_ENVS:
        raise RefusedError(
            f"num_envs must be from 1 to {MAX_NUM_ENVS}, got {hello.num_envs}", code="too_large"
        )
    try:
        observation_layout(contract, hello.num_envs, training=hello.can_reset)
        action_layout(contract, hello.num_envs)
    except ContractError as exc:
        raise RefusedError(str(exc), code="too_large") from exc
