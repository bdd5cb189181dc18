"""What `Link.act` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["STAGES", "Action", "Timing"]

STAGES: tuple[str, ...] = ("encode", "wire", "queue", "infer", "decode", "total")
"""Parts of a step, in order; `wire` is both ways and the waking of two processes."""


class Timing(NamedTuple):
    """Where a step's time went, in ns. All but `total` are 0 in a step without an answer.

    Attributes:
        encode: checking and writing the observation, until it left.
        wire: the journey there and back, without what the gateway reports as its own.
        queue: reading, checking and waiting in the gateway.
        infer: the policy.
        decode: from the answer's arrival to the return: reading, limits, ladder.
        total: the whole call.
    """

    encode: int = 0
    wire: int = 0
    queue: int = 0
    infer: int = 0
    decode: int = 0
    total: int = 0


class NoFieldError(KeyError):
    """An action has no such field; the message names the nearest, or all."""

    def __init__(self, name: object, fields: Iterable[str]) -> None:
        """Keep both: `in` and `get` ask too, and show no message."""
        super().__init__(name, tuple(fields))

    def __str__(self) -> str:
        """Made only when it is shown."""
        name, fields = self.args
        near = get_close_matches(name, fields, 1) if isinstance(name, str) else []
        meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, fields))}"
        return f"the action has no field {name!r}; {meant}"


class Action(Mapping[str, NDArray[Any]]):
    """The commands for this step, by field name: always finite, of the contract's shape, in limits.

    Attributes:
        status: `policy`, `bridged`, `stopping`, `stopped`, `estop` or `disarmed`.
        cause: why it is not the policy's action; "" if it is.
        timing: where the time went.
        seq: number of the question that was answered; 0 in a step without an answer.
        clipped: values cut to the contract's low or high.
        rate_limited: values cut by max_rate or max_acceleration.
        robot_hold: True if the robot must use its own hold mode: these arrays do not hold it.
        rand_hash: the randomization hash the gateway echoed, or "".
        rand_hash_mismatch: True if another hash was expected for this episode.
        deadline_ns: the deadline that this call had, from its start; 0 in lockstep.
        deadline_missed: True if no answer had come by then: the arrays are the fallback's.
        overrun: True if the call itself returned after its deadline.
        arrays: field name -> array in the robot's joint order; with the num_envs axis if the
            link has one. They belong to the caller.
    """

    __slots__ = (
        "_asked", "_session", "arrays", "cause", "clipped", "deadline_missed", "deadline_ns",
        "overrun", "rand_hash", "rand_hash_mismatch", "rate_limited", "robot_hold", "seq",
        "status", "timing",
    )  # fmt: skip

    def __init__(
        self,
        arrays: dict[str, NDArray[Any]],
        status: str,
        cause: str,
        timing: Timing,
        seq: int,
        clipped: int,
        rate_limited: int,
        robot_hold: bool,
        rand_hash: str,
        session: str = "",
        asked: int = 0,
    ) -> None:
        """Keep the parts; of the question, asked in this session, the number (0 if there is none).

        `asked` is there without an answer too.
        """
        self.arrays = arrays
        self.status = status
        self.cause = cause
        self.timing = timing
        self.seq = seq
        self.clipped = clipped
        self.rate_limited = rate_limited
        self.robot_hold = robot_hold
        self.rand_hash = rand_hash
        self.rand_hash_mismatch = self.deadline_missed = self.overrun = False
        self.deadline_ns = 0
        self._session = session
        self._asked = asked

    @property
    def corr_id(self) -> str:
        """Of this step's question in the gateway's events; "" if none was asked."""
        return f"{self._session}-{self._asked}" if self._asked and self._session else ""

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The command of one action field.

        Raises:
            KeyError: no field is called so; names the nearest, or all.
        """
        try:
            return self.arrays[name]
        except KeyError:
            raise NoFieldError(name, self.arrays) from None

    def __iter__(self) -> Iterator[str]:
        """Action field names."""
        return iter(self.arrays)

    def __len__(self) -> int:
        """Number of action fields."""
        return len(self.arrays)

    def __repr__(self) -> str:
        """Status, numbers and time, short enough for a log."""
        shapes = ", ".join(f"{name}{array.shape}" for name, array in self.arrays.items())
        cause = f" ({self.cause})" if self.cause else ""
        return (
            f"<Action {self.seq} {self.status}{cause}: {shapes}, {self.timing.total / 1e3:.0f} us>"
        )
