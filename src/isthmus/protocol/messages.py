"""The messages of the conversation.

The simulator side asks, the policy side gives exactly one answer::

    question      answers
    Hello         Welcome | Error
    Attach        Attached | Error          (the same session moves to shared memory)
    Ready         Reset | Call | Error      (a link that can reset says it may begin)
    Observation   Action | Reset | Call | Error
    Result        Action | Reset | Call | Error
    Ping          Pong
    Admin         AdminAck | Error
    LoadPolicy    LoadPolicyAck | Error

`Telemetry` and `Bye` need no answer. Messages are tuples, because one is built per step and a
frozen dataclass costs four times as much; arrays in them are views that their owner may reuse
after the next message.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = [
    "Action",
    "Admin",
    "AdminAck",
    "Answer",
    "Arrays",
    "Attach",
    "Attached",
    "Bye",
    "Call",
    "ErrorAnswer",
    "Hello",
    "KINDS",
    "Kind",
    "LoadPolicy",
    "LoadPolicyAck",
    "Message",
    "Observation",
    "Outcome",
    "Ping",
    "Pong",
    "Question",
    "Ready",
    "Reset",
    "Result",
    "Telemetry",
    "Welcome",
]

Arrays = Mapping[str, NDArray[Any]]
"""Field name -> array of shape (num_envs, *field.shape)."""

NAN = float("nan")


class Kind(IntEnum):
    """What a frame is. Questions are below 32, answers below 64; the rest need no answer."""

    HELLO = 1
    ATTACH = 2
    READY = 3
    OBSERVATION = 4
    RESULT = 5
    PING = 6
    ADMIN = 7
    LOAD_POLICY = 8
    WELCOME = 33
    ATTACHED = 34
    ACTION = 35
    RESET = 36
    CALL = 37
    PONG = 38
    ERROR = 39
    ADMIN_ACK = 40
    LOAD_POLICY_ACK = 41
    TELEMETRY = 65
    BYE = 66


class Outcome(IntEnum):
    """What an Action carries."""

    POLICY = 0
    MISS = 1
    """The budget passed before the policy had answered; no arrays."""
    FALLBACK = 2
    """Numbers the gateway chose for a client that has no link of its own."""
    MISS_FALLBACK = 3
    """The same, because the budget had passed."""


class Hello(NamedTuple):
    """The first question: who asks, and what it holds.

    An empty `interface_hash` adopts the gateway's contract. `session` and `token` are empty the
    first time; a reconnect brings back what Welcome gave, with the next `epoch`.
    """

    wire_version: int
    version: str
    interface_hash: str = ""
    contract: dict[str, Any] | None = None
    policy: str = ""
    pacing: str = "realtime"
    num_envs: int = 1
    deadline_ns: int = 0
    can_reset: bool = False
    session: str = ""
    token: str = ""
    facts: dict[str, Any] = {}
    seq: int = 0
    epoch: int = 0


class Welcome(NamedTuple):
    """The gateway accepts: its contract, its policy, and a way to shared memory if there is one.

    `resumed` is True if the gateway still remembers the session that Hello named.
    """

    wire_version: int
    version: str
    session: str
    token: str
    contract: dict[str, Any]
    policy: dict[str, Any]
    pacing: str
    resumed: bool = False
    upgrade: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    seq: int = 0
    epoch: int = 0


class Attach(NamedTuple):
    """Move this session to shared memory; `nonce` came with Welcome and works once."""

    session: str
    nonce: str
    seq: int = 0
    epoch: int = 0


class Attached(NamedTuple):
    """The segment's measures; its descriptors travel beside this message."""

    question_size: int
    answer_size: int
    seq: int = 0
    epoch: int = 0


class Ready(NamedTuple):
    """A link that can reset is ready for the first Reset."""

    seq: int = 0
    epoch: int = 0


class Observation(NamedTuple):
    """What the simulator sees.

    `training` holds reward, terminated, truncated (arrays), `final` the last observations of
    episodes that just ended, `infos` columnar facts; only when a learner asks. `reset` marks an
    episode start: {"mask": [bool] or None, "seed": int or None}; see `masks` for how it crosses.
    """

    arrays: Arrays
    seq: int = 0
    epoch: int = 0
    sim_time: float = NAN
    budget_ns: int = 0
    send_ns: int = 0
    wall_ns: int = 0
    rand_hash: str = ""
    expected_rand_hash: str = ""
    corr_id: str = ""
    reset: dict[str, Any] | None = None
    training: Arrays | None = None
    final: Arrays | None = None
    infos: dict[str, Any] | None = None


class Result(NamedTuple):
    """What a Call gave: a value, or an error's text."""

    value: Any = None
    error: str = ""
    seq: int = 0
    epoch: int = 0


class Ping(NamedTuple):
    """Is anybody there?"""

    seq: int = 0
    epoch: int = 0
    corr_id: str = ""


class Admin(NamedTuple):
    """An operation on the gateway itself."""

    op: str = ""
    seq: int = 0
    epoch: int = 0
    corr_id: str = ""


class LoadPolicy(NamedTuple):
    """Serve the policy in this file of the gateway's host from now on."""

    path: str
    seq: int = 0
    epoch: int = 0
    corr_id: str = ""


class Action(NamedTuple):
    """The policy's answer, with the gateway's own spans in ns. Empty arrays on a miss.

    `cause` is why the numbers are the fallback's; only the json codec carries it: a link has its
    own.
    """

    arrays: Arrays
    seq: int = 0
    epoch: int = 0
    outcome: int = Outcome.POLICY
    decode_ns: int = 0
    queue_ns: int = 0
    infer_ns: int = 0
    server_ns: int = 0
    sim_time: float = NAN
    send_ns: int = 0
    wall_ns: int = 0
    rand_hash: str = ""
    expected_rand_hash: str = ""
    corr_id: str = ""
    clipped: tuple[int, ...] = ()
    cause: str = ""


class Reset(NamedTuple):
    """Start new episodes: `mask` per env (None = all), `seeds` per env, Gymnasium's `options`."""

    mask: list[bool] | None = None
    seeds: list[int | None] | None = None
    options: dict[str, Any] | None = None
    seq: int = 0
    epoch: int = 0


class Call(NamedTuple):
    """Run a method the simulator side has allow-listed."""

    method: str = ""
    args: list[Any] = []
    env_ids: list[int] | None = None
    seq: int = 0
    epoch: int = 0


class Pong(NamedTuple):
    """Yes."""

    seq: int = 0
    epoch: int = 0
    wall_ns: int = 0
    corr_id: str = ""


class AdminAck(NamedTuple):
    """What an Admin operation gave."""

    op: str = ""
    data: dict[str, Any] = {}
    seq: int = 0
    epoch: int = 0
    wall_ns: int = 0
    corr_id: str = ""


class LoadPolicyAck(NamedTuple):
    """The policy is loaded, warm, and answers from now on."""

    path: str
    policy_kind: str
    seq: int = 0
    epoch: int = 0
    corr_id: str = ""


class ErrorAnswer(NamedTuple):
    """A question that could not be answered. `code` is one of `bounds.ERROR_CODES`."""

    code: str
    message: str = ""
    retryable: bool = False
    seq: int = 0
    epoch: int = 0
    corr_id: str = ""


class Telemetry(NamedTuple):
    """What the simulator side feels: round trips and misses, as numbers by name."""

    data: dict[str, Any] = {}
    seq: int = 0
    epoch: int = 0


class Bye(NamedTuple):
    """This side closes, and why."""

    reason: str = ""
    seq: int = 0
    epoch: int = 0


Question = Hello | Attach | Ready | Observation | Result | Ping | Admin | LoadPolicy
Answer = Welcome | Attached | Action | Reset | Call | Pong | ErrorAnswer | AdminAck | LoadPolicyAck
Message = Question | Answer | Telemetry | Bye

KINDS: dict[type[Any], Kind] = {
    Hello: Kind.HELLO,
    Attach: Kind.ATTACH,
    Ready: Kind.READY,
    Observation: Kind.OBSERVATION,
    Result: Kind.RESULT,
    Ping: Kind.PING,
    Admin: Kind.ADMIN,
    LoadPolicy: Kind.LOAD_POLICY,
    Welcome: Kind.WELCOME,
    Attached: Kind.ATTACHED,
    Action: Kind.ACTION,
    Reset: Kind.RESET,
    Call: Kind.CALL,
    Pong: Kind.PONG,
    ErrorAnswer: Kind.ERROR,
    AdminAck: Kind.ADMIN_ACK,
    LoadPolicyAck: Kind.LOAD_POLICY_ACK,
    Telemetry: Kind.TELEMETRY,
    Bye: Kind.BYE,
}
"""Class -> kind."""

TRAINING_FIELDS: tuple[tuple[str, str], ...] = (
    ("reward", "float64"),
    ("terminated", "bool"),
    ("truncated", "bool"),
)
"""Name and dtype of what a learner asks for beside the observation, each of shape (num_envs,)."""
