"""What a ledger is tested with: sessions without a wire, steps without an engine, a fake clock."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from isthmus.events.kinds import complaints
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.session import Job, Session
from isthmus.protocol import BinaryCodec, ServerProtocol
from isthmus.protocol.messages import Action, Answer, ErrorAnswer, Hello, Observation, Outcome
from isthmus.transport import Transport

SECOND = 1_000_000_000
INSTANTS = (0, 1_000, 3_000, 6_000, 10_000, 15_000, 21_000)
"""Of a step whose stages take 1, 2, 3, 4, 5, 6 and in all 21 microseconds."""


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now_ns: int = 1_000 * SECOND) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class Events:
    """Keeps what it is told; whoever reads it holds the events against their kinds."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def emit(self, event: Mapping[str, Any]) -> None:
        self.all.append(dict(event))

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Those of one type."""
        assert [found for event in self.all for found in complaints(event)] == []
        return [event for event in self.all if event["type"] == type_]


class Lines:
    """Keeps lines that are no events."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def emit(self, event: Mapping[str, Any]) -> None:
        self.all.append(dict(event))


class Broken:
    """A sink that cannot."""

    def emit(self, event: Mapping[str, Any]) -> None:
        raise OSError("no space left on device")


def session(name: str = "robot", *, plain: bool = False) -> Session:
    """A session that nothing travels by."""
    transport = cast(Transport, SimpleNamespace(name="unix"))
    found = Session(transport, ServerProtocol(BinaryCodec()), f"process of {name}", name=name)
    found.hello = None if plain else Hello(1, "test")
    return found


def step(
    ledger: Ledger,
    of: Session,
    *,
    missed: bool = False,
    inferred: bool = True,
    error: str = "",
    outcome: Outcome | None = None,
    cause: str = "",
    seq: int = 1,
    at_ns: int = 0,
    slower: int = 1,
    **observation: Any,
) -> None:
    """One step that took `INSTANTS`, or so many times that, in a pass of its own.

    `at_ns` is when the engine woke.
    """
    instants_ns = (at_ns + slower * each for each in INSTANTS)
    woke, taken, checked, started, ended, ready, sent = instants_ns
    job = Job(of, Observation({}, seq, **observation), woke, taken, checked, at_ns + 20_000, seq)
    job.ready_ns, job.missed = ready, missed
    found = outcome or (Outcome.MISS if missed else Outcome.POLICY)
    answer: Answer = Action({}, outcome=found, cause=cause)
    if error:
        answer = ErrorAnswer(error)
    else:
        ledger.counters.deadline_miss += missed
        ledger.counters.answered += not missed
    ledger.counters.observations += 1
    instants = (started, ended) if inferred else (0, 0)
    ledger.end_pass([(job, answer, *instants, sent)])
