"""A policy in the link's own process: the other side of the `memory` transport.

It is the whole conversation without the journey: the same protocol, the same handshake, the same
checks. What it cannot do is interrupt a slow policy; the link sees the deadline pass afterwards.
"""

from __future__ import annotations

from time import monotonic_ns, time_ns

from ..errors import InferenceError, RefusedError
from ..protocol import BinaryCodec, ServerProtocol
from ..protocol.messages import (
    Action,
    Answer,
    Bye,
    ErrorAnswer,
    Hello,
    Kind,
    Message,
    Observation,
    Ping,
    Pong,
    Ready,
    Reset,
    Telemetry,
)
from .base import Policy
from .reception import accept, find_policy, welcome
from .step import StepArrays

__all__ = ["InProcess"]


class InProcess:
    """Answers frames with a policy. Call it with each frame; the answer's frame comes back."""

    def __init__(self, policy: Policy) -> None:
        """Serve one policy to one link."""
        self._policy = policy
        self._protocol = ServerProtocol(BinaryCodec())
        self._memory = memoryview(bytearray(4096))
        self._arrays: StepArrays | None = None

    def __call__(self, frame: memoryview) -> memoryview | None:
        """Answer one frame."""
        received_ns = monotonic_ns()
        framer = self._protocol.codec.framer
        message = self._protocol.receive(framer.place(frame))
        if message is None or isinstance(message, (Bye, Telemetry)):
            return None
        if isinstance(message, Hello):
            size = self._greet(message)
        else:
            answer = self._answer(message, received_ns)
            size = self._protocol.answer(answer, self._reserve)
            if isinstance(answer, Action) and self._arrays is not None:
                self._arrays.commit()
        return self._memory[:size]

    def close(self) -> None:
        """Close the policy."""
        self._policy.close()

    def _greet(self, hello: Hello) -> int:
        try:
            accept(hello, find_policy({self._policy.name: self._policy}, hello.policy), 0)
        except RefusedError as exc:
            return self._protocol.refuse(ErrorAnswer(exc.code, str(exc)), self._reserve)
        answer = welcome(hello, self._policy, session="memory", token="")
        size = self._protocol.welcome(answer, self._reserve)
        self._protocol.bind(self._policy.contract, hello.num_envs)
        self._arrays = StepArrays(self._policy, hello.num_envs)
        return size

    def _answer(self, message: Message, received_ns: int) -> Answer:
        if isinstance(message, Ping):
            return Pong(wall_ns=time_ns())
        if isinstance(message, Ready):
            return Reset()
        if not isinstance(message, Observation) or self._arrays is None:
            return ErrorAnswer("schema_violation", f"{type(message).__name__} has no answer here")
        arrays = self._arrays
        if message.reset is not None:
            arrays.begin_episode(message.reset.get("mask"))
        if not self._protocol.codec.finite(Kind.OBSERVATION):
            return ErrorAnswer("not_finite", "the observation holds NaN or infinity")
        start_ns = monotonic_ns()
        try:
            arrays.infer(message.arrays)
        except InferenceError as exc:
            return ErrorAnswer("inference_failed", str(exc))
        end_ns = monotonic_ns()
        if not arrays.finite():
            return ErrorAnswer("not_finite", "the policy answered with NaN or infinity")
        return Action(
            arrays.action,
            decode_ns=start_ns - received_ns,
            infer_ns=end_ns - start_ns,
            server_ns=end_ns - received_ns,
            sim_time=message.sim_time,
            send_ns=end_ns,
            wall_ns=time_ns(),
            rand_hash=message.rand_hash,
            expected_rand_hash=message.expected_rand_hash,
            corr_id=message.corr_id,
        )

    def _reserve(self, size: int) -> memoryview:
        if size > self._memory.nbytes:
            self._memory = memoryview(bytearray(size))
        return self._memory
