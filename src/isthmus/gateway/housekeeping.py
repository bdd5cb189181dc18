"""What is done at intervals, beside the engine: adding up, alerts, advice, reports.

One thread. Several times a second it adds up what the engine has written down, so that the engine
need not; at every interval it takes one snapshot and makes everything from it. A report that cannot
be written is told of once and counted, and keeps no other one from being written. If this thread
dies, no client notices: the ledger then lets the engine add up by itself, in small slices.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic_ns
from typing import Any

from ..events.kinds import EventSink, new_event
from ..telemetry import Advisor, Alerts, Snapshot
from .ledger import Ledger

__all__ = ["Housekeeper", "Sink"]

log = logging.getLogger("isthmus.gateway")

Sink = Callable[[Snapshot], None]
"""Makes one report of a snapshot; may raise."""

_LOGGED = (logging.INFO, logging.WARNING, logging.CRITICAL)
"""Severity of an alert -> level of the log."""
FOLD_S = 0.2
"""Seconds after which what waits is added up, between two intervals."""


@dataclass
class _Trouble:
    """A report that fails."""

    error: str = ""
    failures: int = 0


class Housekeeper:
    """Keeps the reports up to date.

    Args:
        ledger: what is reported.
        interval_s: seconds between two rounds, > 0.
        sinks: the reports; each is called with every round's snapshot.
        events: takes what alerts, advice and failing reports have to tell; None = nobody.
        alerts: what is watched; None = nothing.
        advisor: gives advice; None = none.
        now_ns: the monotonic clock.

    Attributes:
        rounds: rounds done.
        failures: reports that failed.
    """

    def __init__(
        self,
        ledger: Ledger,
        interval_s: float = 5.0,
        *,
        sinks: Sequence[Sink] = (),
        events: EventSink | None = None,
        alerts: Alerts | None = None,
        advisor: Advisor | None = None,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"an interval needs seconds above 0, got {interval_s!r}")
        self.rounds = 0
        self.failures = 0
        self.ended = False
        """True after the last round that `close` did."""
        self._ledger = ledger
        self._interval_s = interval_s
        self._sinks = [(sink, _Trouble()) for sink in sinks]
        self._events = events
        self._alerts = alerts
        self._alert_rows = alerts.report() if alerts is not None else []
        self._advisor = advisor
        self._now_ns = now_ns
        self._round = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; does nothing if it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="isthmus-reports", daemon=True)
            self._thread.start()

    def flush(self, *, advise: bool = True) -> Snapshot:
        """Do a round now, in the caller's thread.

        Args:
            advise: an interval is over. Else there is no advice: it counts intervals in a row.

        Returns:
            What the reports were made from.
        """
        with self._round:
            self.rounds += 1
            snapshot = self._judged(self._ledger.snapshot(), advise)
            for sink, trouble in self._sinks:
                self._report(sink, trouble, snapshot)
            return snapshot

    def failing(self) -> list[str]:
        """The reports that could not be written in the last round, each with why."""
        return [f"{_name(sink)}: {trouble.error}" for sink, trouble in self._sinks if trouble.error]

    def alerts_report(self) -> list[dict[str, Any]]:
        """Every alert as of the last round; never waits for one that hangs on a disk."""
        return self._alert_rows

    def close(self, timeout: float = 5.0) -> None:
        """End the thread, and do the last round.

        Args:
            timeout: seconds to wait for a round that hangs, on a disk for instance; then it is left
                behind, and the last round with it.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.error("a report takes more than %g s; it is left behind", timeout)
                return
        self.flush(advise=False)
        self.ended = True

    def _work(self) -> None:
        due_ns = self._now_ns() + round(self._interval_s * 1e9)
        while not self._over.wait(min(FOLD_S, self._interval_s)):
            now_ns = self._now_ns()
            try:
                self._ledger.fold()
                if now_ns >= due_ns:
                    due_ns = now_ns + round(self._interval_s * 1e9)
                    self.flush()
            except Exception:
                log.exception("a round of reports failed; the next one is tried")
                due_ns = now_ns + round(self._interval_s * 1e9)
                self._over.wait(self._interval_s)  # it would fail again at once

    def _judged(self, snapshot: Snapshot, advise: bool) -> Snapshot:
        """The snapshot with the alerts as they are now."""
        if self._alerts is not None:
            for change in self._alerts.evaluate(snapshot.readings, snapshot.now_ns):
                self._tell({**change.to_event(), "mono_ns": snapshot.now_ns})
                log.log(_LOGGED[change.severity], "alert %s", change.reason)
            self._alert_rows = self._alerts.report()
            self._ledger.show_alerts(self._alerts.active)
            snapshot = replace(snapshot, alerts=self._alerts.active)
        advisor = self._advisor if advise else None
        advice = advisor.observe(snapshot) if advisor is not None else None
        if advice is not None:
            self._tell({**advice.to_event(), "mono_ns": snapshot.now_ns})
            log.warning("latency: %s; %s", advice.evidence, advice.action)
        return snapshot

    def _report(self, sink: Sink, trouble: _Trouble, snapshot: Snapshot) -> None:
        name = _name(sink)
        try:
            sink(snapshot)
        except Exception as exc:
            self.failures += 1
            trouble.failures += 1
            error = f"{type(exc).__name__}: {exc}"
            if error != trouble.error:  # once for each kind of failure
                trouble.error = error
                log.error("report %s cannot be written: %s", name, error)
                about = {"report": name, "error": error, "failures": trouble.failures}
                self._tell(new_event("report_failed", **about))
            return
        if trouble.failures:
            log.warning("report %s is written again", name)
            self._tell(new_event("report_recovered", report=name, failures=trouble.failures))
            trouble.error, trouble.failures = "", 0

    def _tell(self, event: dict[str, Any]) -> None:
        if self._events is not None:
            self._events.emit(event)


def _name(sink: Sink) -> str:
    return getattr(sink, "name", None) or type(sink).__name__
