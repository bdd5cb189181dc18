"""What is measured: ways to travel, and payloads that travel."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.contract import ActionField, Contract, Field
from isthmus.errors import AddressError
from isthmus.transport.address import parse

__all__ = ["PAYLOADS", "WAYS", "Case", "Payload", "Way", "joints_payload", "ways_of"]

CONTROL_DT_NS = 2_000_000_000
"""Of a private gateway's contracts: so long that nothing is missed for being slow."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a step travels.

    Attributes:
        scheme: of the address; `memory` needs no gateway.
        codec: `binary` or `json`.
        upgrade: True if it moves to shared memory.
        meaning: for tables.
    """

    scheme: str
    codec: str
    upgrade: bool
    meaning: str


WAYS: dict[str, Way] = {
    "memory": Way("memory", "binary", False, "no second process: the policy in the loop's own"),
    "shm": Way("unix", "binary", True, "shared memory"),
    "unix": Way("unix", "binary", False, "Unix socket"),
    "tcp": Way("tcp", "binary", False, "TCP on this host"),
    "json": Way("tcp", "json", False, "TCP on this host, one JSON object a line"),
}
"""Name -> way, the fastest first."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a private gateway is asked and answers.

    Attributes:
        contract: the fields.
        num_envs: None for a single environment.
        meaning: for tables.
    """

    contract: Contract
    num_envs: int | None
    meaning: str

    @property
    def typed_by_hand(self) -> bool:
        """True if somebody might send it as JSON: few enough numbers to read."""
        return sum(f.width for f in self.contract.observation) * (self.num_envs or 1) <= 4096


@dataclass(frozen=True, slots=True)
class Case:
    """One row to measure.

    Attributes:
        way: key of `WAYS`.
        payload: its name, as in the tables.
        url: where to connect.
        contract: for `memory:`, and to hold against a gateway; None adopts the gateway's.
        num_envs: None for a single environment.
        policy: name of the policy; "" = the only one.
    """

    way: str
    payload: str
    url: str
    contract: Contract | None = None
    num_envs: int | None = None
    policy: str = ""


Shapes = dict[str, tuple[tuple[int, ...], str]]


def _payload(
    name: str, ask: Shapes, answer: Shapes, meaning: str, num_envs: int | None = None
) -> Payload:
    contract = Contract(
        f"bench_{name}",
        tuple(Field(field, shape, dtype) for field, (shape, dtype) in ask.items()),
        tuple(
            ActionField(field, shape, dtype, semantics="opaque", fallback="zero")
            for field, (shape, dtype) in answer.items()
        ),
        CONTROL_DT_NS,
    )
    return Payload(contract, num_envs, meaning)


def _floats(**widths: int) -> Shapes:
    return {name: ((width,), "float32") for name, width in widths.items()}


_ROBOT = _floats(q=12, dq=12, task=24)

PAYLOADS: dict[str, Payload] = {
    "small": _payload(
        "small", _floats(q=6, dq=6, task=12), _floats(command=6), "24 float32 -> 6: one arm"
    ),
    "envs64": _payload("envs64", _ROBOT, _floats(command=12), "64 x 48 float32 -> 64 x 12", 64),
    "envs4096": _payload(
        "envs4096", _ROBOT, _floats(command=12), "4096 x 48 float32 -> 4096 x 12", 4096
    ),
    "images": _payload(
        "images",
        {"left": ((224, 224, 3), "uint8"), "right": ((224, 224, 3), "uint8")},
        {"chunk": ((50, 14), "float32")},
        "two 224 x 224 x 3 images -> 50 x 14 float32",
    ),
}


def joints_payload(joints: int) -> Payload:
    """Positions and velocities of this many joints, answered by an increment for each."""
    return _payload(
        f"joints{joints}",
        _floats(q=joints, dq=joints),
        _floats(delta=joints),
        f"{2 * joints} float32 -> {joints}",
    )


def ways_of(url: str) -> tuple[str, ...]:
    """The ways on which a running gateway at this address may be reached.

    Raises:
        AddressError: it is no address of a gateway.
    """
    scheme = parse(url).scheme
    found = {
        "tcp": ("shm", "tcp", "json"),
        "unix": ("shm", "unix"),
        "shm": ("shm",),
    }.get(scheme)
    if found is None:
        raise AddressError(f"{url}: expected shm:PATH, unix:PATH or tcp://HOST:PORT of a gateway")
    return found
