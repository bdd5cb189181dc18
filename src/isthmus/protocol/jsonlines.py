"""The json codec: one UTF-8 object a line, a conversation anyone can type.

Its messages are those of the first gateway its users had, so that old clients keep working: `obs`
with `data.q`, answered by `action` with `data.delta`; `ping` by `ack`; `load_policy`, `admin`.
The handshake, Ready, Reset, Call and Result are there too, by their own names. Numbers are written
with one format string per contract, made once.
"""

# ruff: noqa: UP031 - one %-format per contract is the fastest way to write many numbers

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..contract import Contract, Field
from ..errors import LocalProtocolError, RemoteProtocolError
from . import jsontext
from .bounds import MAX_HANDSHAKE, MAX_LINE
from .content import check_value
from .fieldtext import AbsentFieldError, FieldText, absence
from .framer import LineFramer
from .jsoncontrol import from_line, kind_of, to_line, word_of
from .jsonwords import number, object_, text, u64, word
from .masks import reset_from_content, reset_to_content
from .messages import TRAINING_FIELDS, Action, Arrays, Kind, Message, Observation, Outcome

__all__ = ["JsonCodec"]

Reserve = Callable[[int], memoryview]

_NUMBER_BYTES = 32
_REST_BYTES = 1 << 16
"""Of a line, for everything that is no number of a field."""
_OBSERVATION_KEYS = frozenset(
    ("observation", "sim_time", "rand_hash", "hash_rand", "expected_rand_hash")
)
_ACTION_KEYS = frozenset(
    ("action_version", "ts_policy", "policy_latency_ms", "profiling", "deadline_miss", "action_dim",
     "rand_hash", "expected_rand_hash", "rand_hash_mismatch", "joint_limit_clipped",
     "clipped_joint_indices", "action_scale_hint", "policy_kind", "sim_time", "cause")
)  # fmt: skip
"""Keys that lie beside the fields."""


class JsonCodec:
    """Messages to lines and back, for one connection.

    Attributes:
        framer: receives this connection's lines.
        names: of the corr ids made for lines that bring none: `NAME-LINE`; "" makes none.
        corr_id: of the line read last, its own or a made one, even if nothing else in it was
            right; "" once it has been answered.
        seq: the line's number, likewise.
        word: the line's type, known or not; "" if it has none.
        joints: how many joint positions its observation had; None if it was none.
        vacancy: why there is no contract although the handshake is over; "" while that is so.
    """

    name = "json"

    def __init__(self, names: str = "") -> None:
        """Start before the handshake: no contract is known yet."""
        self.framer = LineFramer(MAX_HANDSHAKE)
        self.names = names
        self.corr_id = ""
        self.seq = 0
        self.word = ""
        self.joints: int | None = None
        self.vacancy = ""
        self._lines = 0
        self._position = "q"
        self._facts = ""
        self._ahead: dict[str, Any] | None = None
        self._contract: Contract | None = None
        self._training = False
        self._observed: list[FieldText] = []
        self._acted: list[FieldText] = []
        self._rewarded: list[FieldText] = []

    def bind(
        self, contract: Contract, num_envs: int, *, training: bool = False, asks: bool
    ) -> None:
        """Fix the shapes. One environment is written without the num_envs axis.

        Raises:
            LocalProtocolError: a field has the name of one of this codec's own keys.
        """
        del asks
        _check_names("observation", contract.observation, _OBSERVATION_KEYS)
        _check_names("action", contract.action, _ACTION_KEYS)
        self._contract = contract
        self._position = _joint_positions(contract)
        self._training = training
        rewards = [Field(name, (), dtype) for name, dtype in TRAINING_FIELDS if training]
        self._observed = [FieldText(field, num_envs) for field in contract.observation]
        self._acted = [FieldText(field, num_envs) for field in contract.action]
        self._rewarded = [FieldText(field, num_envs) for field in rewards]
        fields: list[Field] = [*contract.observation, *contract.action, *rewards]
        numbers = sum(field.width for field in fields) * (2 if training else 1) * num_envs
        rest = MAX_HANDSHAKE if training else _REST_BYTES  # the infos of an episode are long
        self.framer.limit = min(MAX_LINE, rest + _NUMBER_BYTES * numbers)

    def describe(self, policy_kind: str, action_scale: float | None = None) -> None:
        """What every action says of its policy.

        Args:
            policy_kind: what answers.
            action_scale: a hint for readers of logs; None says nothing.
        """
        self._facts = text("policy_kind", policy_kind)
        if action_scale is not None:
            self._facts += ',"action_scale_hint":%.9g' % action_scale

    def release(self) -> None:
        """Nothing of a transport's memory is kept here."""

    def finite(self, kind: Kind) -> bool:
        """Always True: numbers that are not finite are refused while they are parsed."""
        del kind
        return True

    # sending ------------------------------------------------------------------------------

    def encode(self, message: Message, reserve: Reserve) -> int:
        """Write `message` as one line into memory from `reserve(size)`; returns its length."""
        if isinstance(message, Observation):
            return self.encode_observation(message, reserve)
        if isinstance(message, Action):
            return self.encode_action(message, reserve)
        return self._write(jsontext.dumps(to_line(message)) + b"\n", message, reserve)

    def encode_observation(self, message: Observation, reserve: Reserve) -> int:
        """`encode`, for a step's question."""
        return self._write(self._observation(message), message, reserve)

    def encode_action(self, message: Action, reserve: Reserve) -> int:
        """`encode`, for a step's answer."""
        return self._write(self._action(message), message, reserve)

    def _write(self, line: bytes, message: Message, reserve: Reserve) -> int:
        size = len(line)
        if size > self.framer.limit:
            raise LocalProtocolError(
                f"{type(message).__name__} is a line of {size} bytes; at most {self.framer.limit}. "
                "Use the binary codec",
                code="too_large",
            )
        reserve(size)[:size] = line
        self.corr_id, self.joints = "", None
        return size

    def _observation(self, message: Observation) -> bytes:
        contract = self._known()
        data = [writer.write(message.arrays) for writer in self._observed]
        if message.sim_time == message.sim_time:
            data.append('"sim_time":%.17g' % message.sim_time)
        for name in ("rand_hash", "expected_rand_hash"):
            if getattr(message, name):
                data.append(text(name, getattr(message, name)))
        parts = [
            '{"type":"obs","seq":%d,"epoch":%d,"budget_ns":%d,"send_ns":%d,"wall_ns":%d'
            % (message.seq, message.epoch, message.budget_ns, message.send_ns, message.wall_ns),
            '"obs_version":%d' % contract.obs_version,
        ]
        if message.corr_id:
            parts.append(text("corr_id", message.corr_id))
        if message.training is not None:
            pairs = [writer.write(message.training) for writer in self._rewarded]
            parts.append('"training":{%s}' % ",".join(pairs))
        if message.final is not None:
            pairs = [writer.write(message.final) for writer in self._observed]
            parts.append('"final":{%s}' % ",".join(pairs))
        extra = {
            name: value
            for name, value in (("reset", message.reset), ("infos", message.infos))
            if value is not None
        }
        if message.reset:
            extra["reset"] = reset_to_content(message.reset)
        if extra:
            parts.append(jsontext.dumps(extra).decode("ascii")[1:-1])
        return ('%s,"data":{%s}}\n' % (",".join(parts), ",".join(data))).encode("ascii")

    def _action(self, message: Action) -> bytes:
        contract = self._known()
        data = [
            '"action_version":%d,"ts_policy":%.6f,"policy_latency_ms":%.4f,'
            '"profiling":{"preprocess_ms":%.4f,"infer_ms":%.4f}'
            % (
                contract.action_version,
                message.wall_ns / 1e9,
                (message.decode_ns + message.queue_ns + message.infer_ns) / 1e6,
                message.decode_ns / 1e6,
                message.infer_ns / 1e6,
            ),
            '"deadline_miss":%s' % ("true" if message.outcome in _MISSES else "false"),
        ]
        if self._facts:
            data.append(self._facts)
        if message.arrays:
            data += [writer.write(message.arrays) for writer in self._acted]
            data.append('"action_dim":%d' % contract.action[0].width)
        if message.rand_hash:
            data.append(text("rand_hash", message.rand_hash))
        if message.expected_rand_hash:
            data.append(text("expected_rand_hash", message.expected_rand_hash))
            if message.rand_hash != message.expected_rand_hash:
                data.append('"rand_hash_mismatch":true')
        if message.cause:
            data.append(text("cause", message.cause))
        if message.clipped:
            data.append(
                '"joint_limit_clipped":true,"clipped_joint_indices":[%s]'
                % ",".join(map(str, message.clipped))
            )
        head = (
            '{"type":"action","seq":%d,"epoch":%d,"outcome":%d,"spans_ns":[%d,%d,%d,%d],'
            '"send_ns":%d,"wall_ns":%d'
            % (
                message.seq, message.epoch, message.outcome, message.decode_ns,
                message.queue_ns, message.infer_ns, message.server_ns, message.send_ns,
                message.wall_ns,
            )
        )  # fmt: skip
        if message.corr_id:
            head += "," + text("corr_id", message.corr_id)
        if message.sim_time == message.sim_time:
            data.append('"sim_time":%.17g' % message.sim_time)
        return ('%s,"data":{%s}}\n' % (head, ",".join(data))).encode("ascii")

    # receiving ----------------------------------------------------------------------------

    def decode(self, frame: memoryview) -> Message:
        """Read one line.

        Raises:
            RemoteProtocolError: not JSON, not a message, or values the contract forbids.
        """
        value, self._ahead = self._ahead, None
        if value is None:
            value = self._parse(frame)
        kind = kind_of(value)
        if kind is Kind.OBSERVATION:
            return self._read_observation(value)
        if kind is Kind.ACTION:
            return self._read_action(value)
        return from_line(kind, value, self.corr_id)

    def kind_of(self, frame: memoryview) -> Kind:
        """The kind of a line, which is to be decoded next.

        Raises:
            RemoteProtocolError: it is no message.
        """
        self._ahead = None
        value = self._parse(frame)
        kind = kind_of(value)
        self._ahead = value
        return kind

    def _parse(self, frame: memoryview) -> dict[str, Any]:
        self._lines += 1
        self.corr_id = f"{self.names}-{self._lines}" if self.names else ""
        self.seq, self.word, self.joints = 0, "", None
        value = jsontext.loads(frame)
        self.word = word_of(value)
        self.corr_id = word(value, "corr_id") or self.corr_id
        self.seq = u64(value, "seq")
        return value

    def _read_observation(self, value: dict[str, Any]) -> Observation:
        data = object_(value.get("data", value), "data")
        if "observation" in data:  # the fields in there, and maybe the rest too
            data = {**data, **object_(data["observation"], "data.observation")}
        positions = data.get(self._position)
        self.joints = len(positions) if isinstance(positions, list) else None
        contract = self._known()
        version = value.get("obs_version", 1)
        if version != contract.obs_version or isinstance(version, bool):
            raise RemoteProtocolError(
                f"expected obs_version {contract.obs_version}, got {version!r}; the client was "
                "written for another version of this contract"
            )
        try:
            arrays = {field.name: field.read(data) for field in self._observed}
        except AbsentFieldError:
            raise RemoteProtocolError(absence(self._observed, data)) from None
        training = final = None
        if "training" in value:
            if not self._training:
                raise RemoteProtocolError("'training' came from a link that cannot reset")
            found = object_(value["training"], "training")
            training = {field.name: field.read(found) for field in self._rewarded}
            if "final" in value:
                last = object_(value["final"], "final")
                final = {field.name: field.read(last) for field in self._observed}
        message = Observation(
            arrays,
            u64(value, "seq"),
            u64(value, "epoch"),
            number(data, "sim_time"),
            u64(value, "budget_ns"),
            u64(value, "send_ns"),
            u64(value, "wall_ns"),
            word(data, "rand_hash") or word(data, "hash_rand"),
            word(data, "expected_rand_hash"),
            self.corr_id,
            training=training,
            final=final,
        )
        extra = {name: value[name] for name in ("reset", "infos") if name in value}
        for name, item in extra.items():
            check_value(Observation, name, item)
        if extra.get("reset"):
            extra["reset"] = reset_from_content(extra["reset"])
        return message._replace(**extra) if extra else message

    def _read_action(self, value: dict[str, Any]) -> Action:
        self._known()
        data = object_(value.get("data"), "data")
        outcome = u64(value, "outcome")
        if outcome not in _OUTCOMES:
            raise RemoteProtocolError(f"unknown outcome {outcome} of an action")
        arrays: Arrays = {}
        if outcome != Outcome.MISS:
            arrays = {field.name: field.read(data) for field in self._acted}
        spans = value.get("spans_ns", [0, 0, 0, 0])
        check_value(Action, "clipped", spans)
        if len(spans) != 4:
            raise RemoteProtocolError(f"spans_ns: expected 4 numbers, got {len(spans)}")
        return Action(
            arrays,
            u64(value, "seq"),
            u64(value, "epoch"),
            outcome,
            spans[0],
            spans[1],
            spans[2],
            spans[3],
            number(data, "sim_time"),
            u64(value, "send_ns"),
            u64(value, "wall_ns"),
            word(data, "rand_hash"),
            word(data, "expected_rand_hash"),
            word(value, "corr_id"),
            cause=word(data, "cause"),
        )

    def _known(self) -> Contract:
        if self._contract is None:
            if self.vacancy:
                raise RemoteProtocolError(self.vacancy, code="policy_unavailable")
            raise RemoteProtocolError("a step came before the handshake")
        return self._contract


def _joint_positions(contract: Contract) -> str:
    """The field that holds the joints' positions: what the action measures, or else the first."""
    measured = [field.measured_position for field in contract.action if field.measured_position]
    return (measured or [contract.observation[0].name])[0]


def _check_names(side: str, fields: Sequence[Field], taken: frozenset[str]) -> None:
    for field in fields:
        if field.name in taken:
            raise LocalProtocolError(
                f"{side} field {field.name!r} cannot cross as json, where that key means something "
                "else; rename the field or use the binary codec",
                code="interface_mismatch",
            )


_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_MISSES = frozenset((Outcome.MISS.value, Outcome.MISS_FALLBACK.value))
