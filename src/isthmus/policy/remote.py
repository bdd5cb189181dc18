"""A policy that another gateway serves.

To the other gateway this is a link that names no budget: it waits for each answer, because the
deadline is kept by whoever asked this policy. A session has a fixed number of rows, so one is
opened for each batch size that occurs, up to a bound; the least recently used is closed.
"""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic_ns, time_ns

from ..channel import Channel, Dial, complete, open_channel
from ..contract import Contract
from ..contract.diff import require_same_interface
from ..errors import (
    ConnectionLostError,
    Error,
    InferenceError,
    InterfaceMismatchError,
    PolicyLoadError,
    ProtocolError,
)
from ..protocol.bounds import WIRE_VERSION
from ..protocol.messages import Action, ErrorAnswer, Hello, Observation, Welcome
from ..transport import parse
from ..transport.sockets import resolve
from ..version import VERSION
from .base import Array, ArrayMap
from .reception import facts

__all__ = ["RemotePolicy", "load"]

MAX_SESSIONS = 8
CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT_NS = 30_000_000_000
"""An answer later than this is an error; the asker's own deadline is long over."""


class RemotePolicy:
    """Answers with what a gateway at `url` answers.

    Raises:
        PolicyLoadError: the gateway cannot be reached, or refuses.
        InterfaceMismatchError: it serves another interface than `contract`.
    """

    kind = "remote"

    def __init__(
        self, url: str, *, contract: Contract | None = None, name: str | None = None
    ) -> None:
        self.url = url
        self.name = name or url
        address = parse(url)
        self._expected = contract
        self._sessions: OrderedDict[int, Channel] = OrderedDict()
        try:
            family, where = resolve(address)
            self._dial = Dial(address, family, where, "binary", True, self._accept)
            first = self._open(1)
        except InterfaceMismatchError:
            raise
        except Error as exc:
            raise PolicyLoadError(f"the gateway at {url} cannot serve as a policy: {exc}") from exc
        self.contract = first.contract
        self.digest = str(first.welcome.policy.get("digest", ""))

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """The other gateway keeps whatever there is to remember: always empty."""
        del num_envs
        return {}

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Ask the other gateway; see `Policy.infer`."""
        del state, next_state
        rows = len(next(iter(action.values())))
        try:
            channel = self._session(rows)
            protocol = channel.protocol
            question = Observation(
                observation,
                protocol.seq + 1,
                protocol.epoch,
                send_ns=monotonic_ns(),
                wall_ns=time_ns(),
            )
            deadline = monotonic_ns() + ANSWER_TIMEOUT_NS
            answer = channel.receive(deadline) if channel.post(question, deadline) else None
        except (ConnectionLostError, ProtocolError) as exc:
            self._drop(rows)
            raise InferenceError(f"the gateway at {self.url} is gone: {exc}") from exc
        except Error as exc:
            raise InferenceError(f"the gateway at {self.url} cannot be asked: {exc}") from exc
        if isinstance(answer, ErrorAnswer):
            raise InferenceError(
                f"the gateway at {self.url} answered {answer.code}: {answer.message}"
            )
        if not isinstance(answer, Action) or not answer.arrays:
            self._drop(rows)
            raise InferenceError(f"the gateway at {self.url} gave no action")
        for key, array in action.items():
            array[...] = answer.arrays[key]

    def close(self) -> None:
        """Say goodbye to the other gateway."""
        for rows in list(self._sessions):
            self._sessions.pop(rows).close("the policy was closed")

    def _session(self, rows: int) -> Channel:
        channel = self._sessions.get(rows)
        if channel is None:
            channel = self._open(rows)
        self._sessions.move_to_end(rows)
        return channel

    def _open(self, rows: int) -> Channel:
        hello = Hello(
            WIRE_VERSION,
            VERSION,
            num_envs=rows,
            facts=facts(),
        )
        channel = complete(open_channel(self._dial, hello), CONNECT_TIMEOUT, self.url)
        self._sessions[rows] = channel
        if len(self._sessions) > MAX_SESSIONS:
            _, oldest = self._sessions.popitem(last=False)
            oldest.close("another batch size is in use")
        return channel

    def _drop(self, rows: int) -> None:
        channel = self._sessions.pop(rows, None)
        if channel is not None:
            channel.abandon()

    def _accept(self, welcome: Welcome) -> Contract:
        theirs = Contract.from_dict(welcome.contract)
        if self._expected is not None:
            require_same_interface(self._expected, theirs, "this gateway", self.url)
        return theirs


def load(url: str, *, contract: Contract | None = None, name: str | None = None) -> RemotePolicy:
    """Use the gateway at `url` as a policy; see `RemotePolicy`."""
    return RemotePolicy(url, contract=contract, name=name)
