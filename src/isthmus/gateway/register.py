"""Who is connected, who was, and who may move to shared memory."""

from __future__ import annotations

import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import RefusedError, UpgradeError
from ..policy.base import Policy
from ..policy.reception import accept, find_policy, welcome
from ..policy.step import StepArrays
from ..protocol import BinaryCodec, JsonCodec, Memory
from ..protocol.messages import Attach, Hello, Welcome
from ..transport.segment import Segment, boot_id, can_share
from ..transport.sockets import Peer
from .session import Session

__all__ = ["Register"]

_REMEMBERED = 1024
_TAIL_ROOM = 16384


@dataclass
class _Past:
    """What is kept of a session; `session` is its connection while it is open.

    `arrays` are kept only for what a recurrent policy remembers in them.
    """

    token: str
    epoch: int
    memory: Memory
    session: Session | None
    arrays: StepArrays | None


class Register:
    """Sessions by name, secrets by session. Names and secrets come from the system's entropy."""

    def __init__(self, policies: Mapping[str, Policy], infer_ns: Mapping[str, int]) -> None:
        """Serve `policies`; `infer_ns` is what one inference of each takes."""
        self.policies: dict[str, Policy] = dict(policies)
        self._infer_ns = dict(infer_ns)
        self._past: OrderedDict[str, _Past] = OrderedDict()
        self._offers: dict[str, Session] = {}

    def replace(self, policy: Policy, infer_ns: int) -> None:
        """Serve this policy instead of all others."""
        self.policies.clear()
        self._infer_ns.clear()
        self.policies[policy.name] = policy
        self._infer_ns[policy.name] = infer_ns

    def greet(self, session: Session, hello: Hello, upgrade_at: str, peer: Peer | None) -> Welcome:
        """Take a session in.

        Args:
            session: the connection.
            hello: what it said.
            upgrade_at: path of a Unix socket for the move to shared memory; "" = its own.
            peer: who the kernel says it is, on a Unix socket.

        Raises:
            RefusedError: it does not fit any policy here.
        """
        policy = find_policy(self.policies, hello.policy)
        accept(hello, policy, self._infer_ns[policy.name])
        past = self._past.get(hello.session)
        resumed = past is not None and _same(past.token, hello.token)
        if past is not None and resumed:
            if hello.epoch <= past.epoch:  # an attempt given up, which has arrived after all
                raise RefusedError(
                    f"a Hello of epoch {hello.epoch} came for a session that is in epoch "
                    f"{past.epoch}; every connection of a session needs a higher one",
                    code="superseded",
                )
            session.name, session.token = hello.session, past.token
            session.protocol.resume(past.memory, hello.epoch)
        else:
            session.name, session.token = secrets.token_hex(6), secrets.token_hex(16)
            session.protocol.epoch = hello.epoch
        session.hello, session.policy = hello, policy
        codec = session.protocol.codec
        if isinstance(codec, JsonCodec):
            codec.names = session.name
            codec.describe(policy.kind)
        kept = past.arrays if past is not None and resumed else None
        if kept is None or kept.policy is not policy or kept.num_envs != hello.num_envs:
            kept = StepArrays(policy, hello.num_envs)
        session.arrays = kept
        return welcome(
            hello,
            policy,
            session=session.name,
            token=session.token,
            resumed=resumed,
            upgrade=self._offer(session, upgrade_at, peer),
        )

    def former(self, hello: Hello) -> Session | None:
        """The connection, still open, whose place this one takes."""
        past = self._past.get(hello.session)
        return past.session if past is not None and _same(past.token, hello.token) else None

    def take_over(self, session: Session) -> Session | None:
        """Remember a welcomed session; returns its former connection, if that is still open."""
        if not session.token:
            return None  # one that sent no Hello has nothing to come back with
        past = self._past.pop(session.name, None)
        remembers = session.arrays is not None and bool(session.arrays.state)
        self._past[session.name] = _Past(
            session.token,
            session.protocol.epoch,
            session.memory,
            session,
            session.arrays if remembers else None,
        )
        if len(self._past) > _REMEMBERED:
            self._forget_one()
        return past.session if past is not None else None

    def _forget_one(self) -> None:
        for name, past in self._past.items():
            if past.session is None:
                del self._past[name]
                return

    def left(self, session: Session) -> None:
        """A connection was closed: its offer is void, and only its memory is kept."""
        self._offers.pop(session.nonce, None)
        past = self._past.get(session.name)
        if past is not None and past.session is session:
            past.session = None

    def attach(self, attach: Attach, peer: Peer | None) -> tuple[Session, Segment]:
        """The session that moves, and the segment it moves to.

        Raises:
            RefusedError: the nonce is unknown or used, or the peer is another user.
        """
        session = self._offers.pop(attach.nonce, None)
        if session is None or session.name != attach.session or session.closed:
            raise RefusedError(
                "this offer of shared memory is unknown or was used before",
                code="upgrade_refused",
            )
        if peer is None or peer.uid != os.geteuid():
            raise RefusedError("shared memory is for processes of one user", code="upgrade_refused")
        codec = session.protocol.codec
        if not isinstance(codec, BinaryCodec) or session.busy:
            raise RefusedError("the session cannot move now", code="upgrade_refused")
        question, answer = codec.frame_sizes()
        try:
            return session, Segment.create(question + _TAIL_ROOM, answer + _TAIL_ROOM)
        except UpgradeError as exc:
            raise RefusedError(str(exc), code="upgrade_refused") from exc

    def _offer(self, session: Session, upgrade_at: str, peer: Peer | None) -> dict[str, Any]:
        reason = can_share()
        if session.is_json:
            reason = "the json codec does not use it"
        elif peer is not None and peer.uid != os.geteuid():
            reason = "the link runs as another user"
        if reason:
            return {"reason": reason}
        session.nonce = secrets.token_hex(16)
        self._offers[session.nonce] = session
        return {"nonce": session.nonce, "boot_id": boot_id(), "path": upgrade_at}


def _same(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "surrogatepass"))
