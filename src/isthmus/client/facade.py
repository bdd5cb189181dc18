"""`isthmus.connect`: from an address to a link."""

from __future__ import annotations

import logging
import operator
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..channel import Channel, Dial, complete, open_channel, open_in_memory
from ..contract import Contract
from ..contract.diff import require_same_interface
from ..contract.joints import JointMap
from ..errors import (
    ConnectError,
    ConnectionLostError,
    ContractError,
    InterfaceMismatchError,
    NoAnswerError,
    RefusedError,
    RemoteProtocolError,
)
from ..policy.contract_file import read_contract
from ..policy.inprocess import InProcess
from ..policy.load import load
from ..policy.reception import DEADLINE_SHARE, facts
from ..protocol.bounds import PACINGS, WIRE_VERSION
from ..protocol.messages import Hello, Welcome
from ..transport import Address, parse
from ..transport.sockets import resolve
from ..version import VERSION
from .link import Link
from .reconnect import Reconnector
from .times import seconds

__all__ = ["connect"]

log = logging.getLogger("isthmus.link")

_CODECS = ("binary", "json")
_PATIENCE = 1.0
"""Seconds of waiting for a gateway before that is said."""


def connect(
    url: str,
    *,
    contract: Contract | str | os.PathLike[str] | None = None,
    policy: str | None = None,
    joints: Sequence[str] | None = None,
    num_envs: int | None = None,
    pacing: str | None = None,
    deadline: float | None = None,
    timeout: float = 10.0,
    codec: str = "binary",
    upgrade: bool = True,
    rearm: str | None = None,
) -> Link:
    """Connect a simulator or robot to a gateway, and wait until it is warm.

    Args:
        url: `shm:PATH`, `unix:PATH`, `tcp://HOST:PORT`, or `memory:MODEL` for a policy in this
            process.
        contract: what this side holds: a Contract, or the path of its JSON or TOML file, or
            of a model with its manifest beside it. None adopts the gateway's; names and shapes
            are then checked at the first `act`. Its limits and the gateway's both apply: the
            tighter wins.
        policy: name of the policy, where the gateway serves several.
        joints: this robot's joint names in its own order; arrays are matched by name.
        num_envs: environments per call, with a leading axis; None for one without it.
        pacing: `realtime` (default) or `lockstep`.
        deadline: s in which `act` returns; 0.8 x control_dt otherwise. One longer than
            control_dt is warned of in realtime.
        timeout: s to wait for the gateway.
        codec: `binary` or `json`.
        upgrade: move to shared memory where both sides can.
        rearm: `manual`, `on_reset` or `auto`; None takes the actuator's default.

    Raises:
        AddressError: the URL cannot be understood.
        ConnectError: nobody answered in time.
        RefusedError: the gateway refused; the message says what to change.
        InterfaceMismatchError: contract or joints do not fit, field by field.
        UpgradeError: `shm:` is not possible; the message says why.
    """
    chosen = pacing or "realtime"
    if chosen not in PACINGS:
        raise ContractError(f"pacing {pacing!r}: use one of {', '.join(PACINGS)}")
    if codec not in _CODECS:
        raise ContractError(f"codec {codec!r}: use one of {', '.join(_CODECS)}")
    num_envs = _rows(num_envs)
    if deadline is not None:
        deadline = seconds("deadline", deadline)
    timeout = seconds("timeout", timeout)
    ours = _read(contract)
    adopted = False
    mapped: list[JointMap] = []

    def accept(welcome: Welcome) -> Contract:
        nonlocal ours, adopted
        theirs = Contract.from_dict(welcome.contract)
        found = theirs
        if ours is not None:
            require_same_interface(ours, theirs, "this side", "the gateway")
            found = ours.with_limits(theirs.limits)
            if adopted and found.limits_hash != ours.limits_hash:
                raise ContractError(
                    "the gateway came back with tighter limits; close this link and connect "
                    "again to take them over"
                )
        found.check_pacing(chosen)
        if joints is not None:
            mapped[:] = [JointMap(found, joints)]
        ours, adopted = found, True  # what a gateway must have after a reconnect too
        return found

    hello = Hello(
        WIRE_VERSION,
        VERSION,
        ours.interface_hash if ours is not None else "",
        ours.to_dict() if ours is not None else None,
        policy or "",
        chosen,
        num_envs or 1,
        int(deadline * 1e9) if deadline is not None else 0,
        facts=facts(),
    )
    address = parse(url)
    reconnector = None
    if address.scheme == "memory":
        channel = _in_memory(address, ours, hello, accept)
    else:
        family, where = resolve(address)
        dial = Dial(address, family, where, codec, upgrade, accept)
        channel = _wait_for(dial, hello, timeout)
        reconnector = Reconnector(dial, hello, channel)
    if channel.note and channel.note != "not asked for":
        log.info("isthmus %s: frames travel by %s: %s", url, channel.transport.name, channel.note)
    link_deadline = hello.deadline_ns or int(channel.contract.control_dt_ns * DEADLINE_SHARE)
    if chosen == "realtime" and link_deadline > channel.contract.control_dt_ns:
        log.warning(
            "isthmus %s: deadline %g s is longer than the contract's control_dt, %g s: an action "
            "may come whole steps late. deadline is in seconds; without one it is %g",
            url, link_deadline / 1e9, channel.contract.control_dt_ns / 1e9,
            channel.contract.control_dt_ns / 1e9 * DEADLINE_SHARE,
        )  # fmt: skip
    try:
        return Link(
            channel,
            reconnector,
            url=url,
            pacing=chosen,
            num_envs=num_envs,
            deadline_ns=link_deadline,
            joints=mapped[0] if mapped else None,
            rearm=rearm,
        )
    except BaseException:
        channel.close()
        raise


def _wait_for(dial: Dial, hello: Hello, timeout: float) -> Channel:
    """Try until somebody listens, as long as `timeout` allows."""
    url = dial.address.url
    started = time.monotonic()
    pause = 0.01
    told = False

    def tell(why: str) -> None:
        nonlocal told
        if not told:
            told = True
            log.warning("isthmus %s: waiting for a gateway: %s", url, why)

    while True:
        gone = time.monotonic() - started
        try:
            return complete(
                open_channel(dial, hello),
                max(timeout - gone, 0.001),
                url,
                patience=_PATIENCE - gone,
                on_slow=tell,
            )
        except RemoteProtocolError as exc:
            if type(exc) is not RemoteProtocolError or exc.code == "wire_version":
                raise  # a gateway said it, or has said what it is
            raise RemoteProtocolError(_nobody(url, timeout, exc), code=exc.code) from exc
        except (ConnectError, ConnectionLostError, RefusedError) as exc:
            if isinstance(exc, RefusedError) and exc.code == "interface_mismatch":
                raise InterfaceMismatchError(str(exc)) from None
            if isinstance(exc, RefusedError) and not exc.retryable:
                raise
            gone = time.monotonic() - started
            if timeout - gone <= pause:
                if isinstance(exc, RefusedError):
                    raise
                raise ConnectError(_nobody(url, timeout, exc)) from None
            why = str(exc)
        if gone > _PATIENCE:
            tell(why)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def _nobody(url: str, timeout: float, why: Exception) -> str:
    """What to do where no gateway was found: start one only where nobody else listens."""
    if isinstance(why, NoAnswerError):
        return str(why)
    if isinstance(why, ConnectionLostError):
        return (
            f"something listens at {url} and hung up on every handshake for {timeout:g} s ({why}): "
            "another program, or a gateway of another version. End it, or use another address for "
            "both sides"
        )
    if isinstance(why, RemoteProtocolError):
        return (
            f"something listens at {url} and answered the handshake with what is none ({why}): "
            "another program, or a gateway of another version. End it, or use another address for "
            "both sides"
        )
    return (
        f"no gateway at {url} after {timeout:g} s: {why}. "
        f"Start one with: isthmus serve MODEL --listen {url}"
    )


def _in_memory(
    address: Address,
    contract: Contract | None,
    hello: Hello,
    accept: Callable[[Welcome], Contract],
) -> Channel:
    """The same conversation with a policy in this process."""
    policy = load(address.path, contract=contract)
    try:
        return open_in_memory(InProcess(policy), hello, accept)
    except BaseException:
        policy.close()
        raise


def _rows(num_envs: object) -> int | None:
    if num_envs is None:
        return None
    try:
        rows = 0 if isinstance(num_envs, bool) else operator.index(num_envs)  # type: ignore[arg-type]
    except TypeError:
        rows = 0
    if rows < 1:
        raise ContractError(f"num_envs must be a whole number of at least 1, got {num_envs!r}")
    return rows


def _read(contract: Contract | str | os.PathLike[str] | None) -> Contract | None:
    if contract is None or isinstance(contract, Contract):
        return contract
    try:
        path = Path(contract)
    except TypeError:
        raise ContractError(
            f"contract: expected a Contract or the path of its file, got {contract!r:.60}"
        ) from None
    return read_contract(path)
