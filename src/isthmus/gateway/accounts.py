"""What the gateway has done, added up: from the engine's rows to one `Snapshot`.

Theory of operation. The engine writes a row for each step and a note for whatever else happens, a
pass at a time, and never adds anything up. Here passes are taken in whole, in their order, and only
between two of them is a snapshot made: so its figures belong to one instant. The columns of many
steps go into the histograms at once, which costs a fraction of doing it step by step.

Nothing here is thread-safe; the ledger sees to it that one thread is here at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError
from ..events.kinds import new_event
from ..safety.ladder import Level
from ..telemetry import (
    COUNTERS,
    GATEWAY_STAGES,
    Ema,
    LatencyWindow,
    LinkReport,
    LogHistogram,
    PolicyState,
    SessionState,
    Snapshot,
)
from ..telemetry.watchdog import ENOUGH
from .clients import PATIENCE_NS, REMEMBERED, Account, is_due
from .mismatches import Mismatch, Mismatches

__all__ = ["OUTCOMES", "Accounts", "Instants", "Note", "Pass", "Row", "Watched"]

OUTCOMES: tuple[str, ...] = ("policy", "miss", "fallback", "error")
"""What a step can be answered with."""

RECENT_STEPS = 200
"""Steps that the recent miss rate looks at."""

_WATCHED = ("steps", "misses", "consecutive", "escalations")
_LEVELS = frozenset(level.name.lower() for level in Level)
_WITHOUT_POLICY = tuple(level.name.lower() for level in (Level.BRIDGE, Level.STOPPED))
"""Levels at which an armed link does without its policy."""
_AT_ONCE = 512
"""Steps whose columns are counted together."""


Watched = tuple[int, int, int, int]
"""What a session's watchdog has counted: steps, misses, consecutive, escalations."""

Instants = tuple[int, int, int, int, int, int, int]
"""Of a step: engine woke, frame taken, observation checked, inference started, inference ended,
answer ready, answer sent; monotonic ns. The inference's are 0 if it was not waited for."""

Row = tuple[int, str, bool, Instants, "Watched | None"]
"""One answered step: number of the connection, one of `OUTCOMES`, whether its deadline was missed,
its instants, and the session's totals after it (None if it was answered with an error). A plain
tuple, because one is made at every step."""


class Note(NamedTuple):
    """Whatever is no step: a method of `Accounts`, and what it is to be called with."""

    enter: Callable[..., None]
    args: tuple[Any, ...]


Pass = tuple[Sequence[Row], Sequence[Note], Mapping[str, Any]]
"""What happened in one pass of the engine: rows, notes, and the counters at its end."""


@dataclass
class _Seen:
    """A connected session."""

    state: SessionState
    watched: Watched = (0, 0, 0, 0)
    link: Mapping[str, Any] = field(default_factory=dict)
    empties: int = 0
    troubled: int = 0
    """Reports in a row, of its link, in which the policy was not always followed."""


class Accounts:
    """Everything a snapshot is made of.

    Args:
        emit: takes the events that are written from here.
        mismatched: takes the lines of the forensic record.
        lately_s: length of the window in seconds.
    """

    def __init__(
        self,
        emit: Callable[[Mapping[str, Any]], None],
        mismatched: Callable[[Mapping[str, Any]], None],
        lately_s: float = 60.0,
    ) -> None:
        self._emit = emit
        self._mismatched = mismatched
        self._lately_s = lately_s
        self._counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._codes: Mapping[str, int] = {}
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._stages = {stage: LogHistogram() for stage in GATEWAY_STAGES}
        self._windows = {stage: LatencyWindow(lately_s) for stage in GATEWAY_STAGES}
        self._averages = {stage: Ema() for stage in GATEWAY_STAGES}
        self._missed: deque[tuple[int, bool]] = deque(maxlen=RECENT_STEPS)
        self._policies: tuple[PolicyState, ...] = ()
        self._seen: dict[int, _Seen] = {}
        self._mismatches = Mismatches()
        self._parted: dict[Account, tuple[int, int, int]] = {}
        self._levels_s: dict[str, float] = {}
        self._round_trip, self._wire = LogHistogram(), LogHistogram()

    def take(self, passes: Iterable[Pass]) -> None:
        """Add passes up, the oldest first.

        Raises:
            Exception: a note could not be entered; everything else has been.
        """
        fault: Exception | None = None
        rows: list[Row] = []
        totals: Mapping[str, Any] = {}
        for more, notes, latest in passes:
            rows += more
            totals = latest
            for note in notes:
                try:
                    note.enter(*note.args)
                except Exception as exc:
                    fault = fault or exc
        for start in range(0, len(rows), _AT_ONCE):
            self._count(rows[start : start + _AT_ONCE])
        if totals:
            self._counters = {name: totals.get(name, 0) for name in COUNTERS}
            self._codes = totals["by_code"]
        if fault is not None:
            raise fault

    def _count(self, rows: Sequence[Row]) -> None:
        timed = []
        for number, outcome, missed, instants_, watched in rows:
            self._outcomes[outcome] += 1
            if watched is None:
                continue
            timed.append(instants_)
            self._missed.append((instants_[-1], missed))
            seen = self._seen.get(number)
            if seen is not None:
                seen.watched = watched
        if not timed:
            return
        instants = np.array(timed, np.int64)
        spans = np.diff(instants, axis=1)
        spans[instants[:, 4] == 0, 2:5] = -1  # its inference was not waited for
        sent = instants[:, -1]
        for stage, column in zip(GATEWAY_STAGES, spans.T, strict=False):
            self._measured(stage, sent, column)
        total = sent - instants[:, 0]
        self._measured("total", sent, total)
        self._measured("policy", sent, np.where(instants[:, 4] == 0, -1, total))

    def _measured(self, stage: str, times: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        known = values >= 0
        found = values[known].tolist()
        self._stages[stage].record_many(found)
        self._windows[stage].add_many(times[known].tolist(), found)
        self._averages[stage].add_many(found)

    # notes --------------------------------------------------------------------------------

    def serving(self, policies: tuple[PolicyState, ...]) -> None:
        """These are served from now on."""
        self._policies = policies

    def opened(
        self, number: int, state: SessionState, watched: Watched, client: Account, empties: int
    ) -> None:
        """A session was welcomed; its client has had this before."""
        self._parted.pop(client, None)
        self._seen[number] = _Seen(state, watched, empties=empties)

    def changed(self, number: int, state: SessionState) -> None:
        """Something about a session is not as it was."""
        if number in self._seen:
            self._seen[number].state = state

    def closed(
        self, number: int, client: Account | None, consecutive: int, empties: int, now_ns: int
    ) -> None:
        """A session has ended, with so many misses and observations without a joint in a row."""
        if client is not None:
            self._parted[client] = consecutive, empties, now_ns
            if len(self._parted) > REMEMBERED:
                del self._parted[next(iter(self._parted))]
        self._seen.pop(number, None)
        self._mismatches.forget(number)

    def late(self, queue_ns: int, infer_ns: int, whole_ns: int, ended_ns: int) -> None:
        """An inference ended after its question had been answered; its stages count all the same.

        Else the slowest inferences of all would be missing from what inferences take, and no
        latency would ever lie above the deadline.
        """
        for stage, value in (("queue", queue_ns), ("infer", infer_ns), ("policy", whole_ns)):
            self._measured(stage, np.array([ended_ns]), np.array([value]))

    def empties(self, number: int, run: int) -> None:
        """A session has sent so many observations in a row without a joint."""
        seen = self._seen.get(number)
        if seen is not None:
            seen.empties = run

    def reset(self, number: int, reset: Mapping[str, Any]) -> None:
        """An episode started."""
        self._mismatches.reset(number, reset)

    def mismatched(self, found: Mismatch) -> None:
        """A randomization was not the expected one: write down which value differs first."""
        self._mismatches.count(found.mono_ns)
        difference = self._mismatches.difference(found.number)
        about = {"session": found.session, "obs_seq": found.obs_seq}
        if found.sim_time == found.sim_time:
            about["sim_time"] = found.sim_time
        hashes = {"expected": found.expected, "actual": found.actual}
        joined = {"corr_id": found.corr_id, "mono_ns": found.mono_ns, "remote": found.remote}
        line = {"ts": found.wall_ns / 1e9, **joined, **hashes, **about, **difference}
        self._mismatched(line)
        if not is_due(found.consecutive):
            return
        values = {name: item for name, item in difference.items() if name != "key"}
        if "key" in difference:
            values["first_difference"] = difference["key"]
        values["consecutive"] = found.consecutive
        event = new_event("rand_hash_mismatch", **joined, **hashes, **about, **values)
        self._emit({**event, "ts_wall": found.wall_ns / 1e9})

    def told(self, number: int, data: Mapping[str, Any]) -> None:
        """A link reported what it feels. It may say anything; what cannot be true is left out."""
        try:
            report = LinkReport.from_dict(data)
            for histogram in (report.round_trip, report.wire):
                histogram.summary()
        except (ContractError, ValueError):
            return
        for name, seconds in report.levels_s.items():
            level = name if name in _LEVELS else "other"
            self._levels_s[level] = self._levels_s.get(level, 0.0) + seconds
        self._round_trip.merge(report.round_trip)
        self._wire.merge(report.wire)
        seen = self._seen.get(number)
        if seen is not None:
            seen.link = report.to_dict()
            self._tell_of_trouble(seen, report)

    def _tell_of_trouble(self, seen: _Seen, report: LinkReport) -> None:
        """A link that did without the policy says so in its reports, and nowhere else here."""
        levels = {name: report.levels_s.get(name, 0.0) for name in _WITHOUT_POLICY}
        if not report.misses and not any(levels.values()):
            seen.troubled = 0
            return
        seen.troubled += 1
        if is_due(seen.troubled):
            about = {"session": seen.state.name, "remote": seen.state.peer}
            values = {"levels_s": levels, "causes": dict(report.causes)}
            values |= {"misses": report.misses, "interval_s": report.interval_s}
            self._emit(
                new_event("link_without_policy", consecutive=seen.troubled, **values, **about)
            )

    # reading ------------------------------------------------------------------------------

    def snapshot(self, *, now_ns: int, events_dropped: int = 0, **instant: Any) -> Snapshot:
        """Everything, as it stands; `instant` has what the accounts do not know."""
        recent = {stage: window.recent() for stage, window in self._windows.items()}
        lately = {stage: window.lately(now_ns) for stage, window in self._windows.items()}
        return Snapshot(
            policies=self._policies,
            sessions=tuple(_state(seen) for seen in self._seen.values()),
            stages={stage: histogram.copy() for stage, histogram in self._stages.items()},
            recent=recent,
            lately=lately,
            lately_s=self._lately_s,
            ema_ns={stage: average.value for stage, average in self._averages.items()},
            counters={**self._counters, "events_dropped": events_dropped},
            outcomes=dict(self._outcomes),
            error_codes=self._codes,
            levels_s=dict(self._levels_s),
            round_trip=self._round_trip.copy(),
            wire=self._wire.copy(),
            readings=self._readings(now_ns),
            now_ns=now_ns,
            **instant,
        )

    def _readings(self, now_ns: int) -> dict[str, float | None]:
        """What the alerts look at: the last answers, as far as they are not older than lately.

        Latency is what the policy took in truth; where it hangs, at least what its misses took.
        """
        judged = [self._windows[stage].fresh(now_ns) for stage in ("policy", "total")]
        p95s = [summary["p95"] for summary in judged if summary["count"]]
        since_ns = now_ns - round(self._lately_s * 1e9)
        missed = [each for sent_ns, each in self._missed if sent_ns >= since_ns]
        return {
            "latency_p95_ms": max(p95s) / 1e6 if p95s else None,
            "deadline_miss_rate": sum(missed) / len(missed) if len(missed) >= ENOUGH else None,
            "consec_deadline_miss": self._consecutive(now_ns),
            "rand_hash_mismatch_burst": self._mismatches.burst(now_ns),
            "empty_joint_states": self._empties(now_ns),
        }

    def _consecutive(self, now_ns: int) -> int:
        """Most misses in a row, of who is connected and of clients that were a moment ago."""
        there = (seen.watched[2] for seen in self._seen.values())
        gone = (run for run, _, left in self._parted.values() if now_ns - left <= PATIENCE_NS)
        return max((*there, *gone), default=0)

    def _empties(self, now_ns: int) -> int:
        """Most observations without a joint in a row, of the same."""
        there = (seen.empties for seen in self._seen.values())
        gone = (run for _, run, left in self._parted.values() if now_ns - left <= PATIENCE_NS)
        return max((*there, *gone), default=0)


def _state(seen: _Seen) -> SessionState:
    counters = dict(zip(_WATCHED, seen.watched, strict=True))
    rate = counters["misses"] / counters["steps"] if counters["steps"] else 0.0
    return replace(seen.state, counters=counters, miss_rate=rate, link=seen.link)
