"""What is measured against what, and how good it has to be: the rows, as a table."""

from __future__ import annotations

from dataclasses import dataclass

MICROSECONDS = 1e-3  # of a nanosecond


@dataclass(frozen=True, slots=True)
class Bar:
    """How good a subject has to be, or a figure worth showing without a bar.

    Attributes:
        of: the subject.
        against: another subject, or "" for the figure alone.
        at_most: the bar, in multiples, or in the row's unit for a difference or a lone figure.
        at_least: the same, the other way.
        figure: "p50", "p99" or "per_second".
        difference: subtract the other subject instead of dividing by it.
    """

    of: str
    against: str = ""
    at_most: float | None = None
    at_least: float | None = None
    figure: str = "p50"
    difference: bool = False

    def compare(self, mine: float, other: float = 1.0) -> float:
        """The value the bar speaks about."""
        return mine - other if self.difference else mine / other

    def is_met(self, value: float) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.at_most is not None:
            return value <= self.at_most
        return None if self.at_least is None else value >= self.at_least

    @property
    def limit(self) -> str:
        """How good it has to be, such as `<= 4.5`; "" where that is open."""
        limits = ((self.at_most, "<="), (self.at_least, ">="))
        return next((f"{how} {limit:.3g}" for limit, how in limits if limit is not None), "")

    @property
    def text(self) -> str:
        """The bar in words, such as `isthmus-shm / c-futex p50 <= 4.5`."""
        sign = "-" if self.difference else "/"
        left = f"{self.of} {sign} {self.against}" if self.against else self.of
        return f"{left}, {self.figure} {self.limit}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the benchmark: subjects measured in turn, and the bars they stand against.

    Attributes:
        name: for `--only`.
        title: for people.
        subjects: keys of `SUBJECTS`; measured in interleaved bursts.
        bars: how good they have to be.
        payload: key of `PAYLOADS`.
        hz: pace in steps per second, 0 for back to back.
        quick: (bursts, seconds of each) of a quick run.
        full: the same of a full run.
        unit: of the samples, as shown.
        scale: shown unit per sampled unit.
        placed: pinned as the run says; a row that is not about a round trip runs free.
    """

    name: str
    title: str
    subjects: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    payload: str = "S"
    hz: float = 0.0
    quick: tuple[int, float] = (5, 0.25)
    full: tuple[int, float] = (10, 0.4)
    unit: str = "us"
    scale: float = MICROSECONDS
    placed: bool = True


C_AND_PYTHON = ("c-futex", "python-eventfd")
# The bars are about the step without the gate, which has a row of its own; a user always has it.
GATELESS = "isthmus-gateless"


def _both(against: str, at_most: float, difference: bool = False) -> tuple[Bar, Bar]:
    """The same bar without and with the gate."""
    return (
        Bar(GATELESS, against, at_most=at_most, difference=difference),
        Bar("isthmus-shm", against, at_most=at_most, difference=difference),
    )


def _paced(hz: float, quick: tuple[int, float], full: tuple[int, float]) -> Row:
    return Row(
        f"paced-{hz:.0f}",
        f"24 float32 -> 6, shared memory, paced at {hz:.0f} Hz",
        ("isthmus-shm", GATELESS, *C_AND_PYTHON),
        _both("python-eventfd", 1.6),
        hz=hz,
        quick=quick,
        full=full,
    )


def _large(payload: str, name: str, title: str, at_most: float) -> Row:
    return Row(
        name,
        title,
        ("isthmus-shm", GATELESS, *C_AND_PYTHON, "websocket"),
        _both("c-futex", at_most),
        payload=payload,
        quick=(4, 0.25),
    )


def _socket(name: str, subject: str, floor: str, bare: str, at_most: float) -> Row:
    return Row(
        name,
        f"24 float32 -> 6, {name}, back to back",
        (subject, floor, bare),
        (Bar(subject, floor, at_most=at_most), Bar(subject, bare, difference=True)),
    )


def _sessions(count: int, bars: tuple[Bar, ...]) -> Row:
    return Row(
        f"sessions-{count}",
        f"{count} sessions on one ONNX policy",
        (f"batched-{count}", f"single-{count}"),
        bars,
        quick=(3, 0.5),
        full=(6, 1.0),
        placed=False,
    )


def _per_second(count: int, at_least: float | None) -> Bar:
    return Bar(f"batched-{count}", f"single-{count}", at_least=at_least, figure="per_second")


ROWS: tuple[Row, ...] = (
    Row(
        "small",
        "24 float32 -> 6, shared memory, back to back",
        (
            "isthmus-shm",
            GATELESS,
            "c-futex",
            "c-eventfd",
            "python-eventfd",
            "websocket",
            "websocket-sync",
        ),
        (
            *_both("c-futex", 4.5),
            *_both("websocket", 1 / 6),
            *_both("websocket-sync", 1 / 6),
            *_both("python-eventfd", 25, difference=True),
        ),
        full=(12, 0.5),
    ),
    _paced(25, quick=(3, 1.5), full=(5, 3.0)),
    _paced(100, quick=(3, 1.0), full=(5, 1.5)),
    _paced(300, quick=(3, 0.8), full=(5, 1.5)),
    _large("V", "vectors", "64 envs x 48 -> x 12, shared memory, back to back", at_most=5.0),
    _large("I", "images", "two 224x224x3 images -> (50, 14), shared memory", at_most=2.0),
    _large("H", "many", "4096 envs x 48 -> x 12, shared memory", at_most=2.0),
    _socket("unix", "isthmus-unix", "c-unix", "python-unix", at_most=7.0),
    _socket("tcp", "isthmus-tcp", "c-tcp", "python-tcp", at_most=7.0),
    _socket("tcp-json", "isthmus-json", "c-tcp", "python-tcp", at_most=9.0),
    Row(
        "guard",
        "ladder, gate and fallback, 12 joints, every limit",
        ("isthmus-guard",),
        (Bar("isthmus-guard", at_most=30.0),),
        quick=(3, 0.3),
        full=(10, 0.5),
    ),
    Row(
        "stopped",
        "act() behind a stopped gateway: return after a deadline of 20 ms",
        ("isthmus-stopped",),
        (Bar("isthmus-stopped"), Bar("isthmus-stopped", at_most=500.0, figure="p99")),
        quick=(3, 1.5),
        full=(4, 5.0),
        placed=False,
    ),
    Row(
        "idle",
        "gateway with 16 silent sessions",
        ("isthmus-idle",),
        (Bar("isthmus-idle", at_most=1.0),),
        quick=(1, 10.0),
        full=(2, 10.0),
        unit="% of a core",
        scale=1.0,
        placed=False,
    ),
    Row(
        "start",
        "a program that does nothing, from start to end",
        ("start-isthmus", "start-bare"),
        (
            Bar("start-isthmus", "start-bare"),
            Bar("start-isthmus", "start-bare", difference=True),
        ),
        quick=(3, 2.0),
        full=(6, 4.0),
        unit="ms",
        scale=1e-6,
        placed=False,
    ),
    _sessions(1, (Bar("batched-1", "single-1"), _per_second(1, None))),
    _sessions(16, (_per_second(16, None),)),
    _sessions(64, (_per_second(64, 3.0),)),
    Row(
        "jitter",
        "500 Hz loop, tick to action in hand, policy in the same process",
        ("isthmus-memory", "sleep"),
        (
            Bar("isthmus-memory", "sleep", difference=True),
            Bar("isthmus-memory", "sleep", difference=True, figure="p99"),
        ),
        hz=500.0,
        quick=(3, 1.0),
        full=(6, 3.0),
        placed=False,
    ),
)
