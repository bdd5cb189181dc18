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
    def text(self) -> str:
        """The bar in words, such as `isthmus-shm / c-futex p50 <= 4.5`."""
        sign = "-" if self.difference else "/"
        left = f"{self.of} {sign} {self.against}" if self.against else self.of
        limits = ((self.at_most, "<="), (self.at_least, ">="))
        bound = next((f" {how} {limit:.3g}" for limit, how in limits if limit is not None), "")
        return f"{left}, {self.figure}{bound}"


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
    full: tuple[int, float] = (15, 0.5)
    unit: str = "us"
    scale: float = MICROSECONDS
    placed: bool = True


ROWS: tuple[Row, ...] = (
    Row(
        "small",
        "24 float32 -> 6, shared memory, back to back",
        ("c-futex", "c-eventfd", "python-eventfd", "websocket", "websocket-sync"),
        (
            Bar("python-eventfd", "c-futex"),
            Bar("websocket", "python-eventfd"),
        ),
    ),
)
