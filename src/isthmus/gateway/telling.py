"""What happens to sessions, as events. Whoever tells never waits, nor hears of a sink's fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..events.kinds import INFO, WARN, EventSink, new_event
from ..events.log import EventLog
from ..telemetry import DeadlineWatchdog, SessionState
from .session import Job, Session

__all__ = ["LOST", "Teller"]

LOST = "the connection was lost"
"""Why a session ended that did not say goodbye."""


class Teller:
    """Makes events and hands them on.

    Args:
        events: who takes them; None = nobody.
        now_ns: the monotonic clock.
        failed: is told, in words and by the exception, what a sink could not do.
    """

    def __init__(
        self,
        events: EventSink | None,
        now_ns: Callable[[], int],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._events = events
        self._now_ns = now_ns
        self._failed = failed

    @property
    def dropped(self) -> int:
        """Events that the log had to drop so far."""
        return self._events.stats().dropped if isinstance(self._events, EventLog) else 0

    def emit(self, event: Mapping[str, Any]) -> None:
        """Hand an event on, if anybody takes them; from any thread."""
        if self._events is not None:
            try:
                self._events.emit(event)
            except Exception as exc:
                self._failed("emit an event", exc)

    def of_gateway(self, type_: str, **values: Any) -> None:
        """Something happened that is about no session."""
        if self._events is not None:
            self.emit({**new_event(type_, **values), "mono_ns": self._now_ns()})

    def of(self, session: Session, type_: str, **values: Any) -> None:
        """Something happened to a session."""
        if self._events is not None:
            about = {"mono_ns": self._now_ns(), "session": session.name, "remote": session.peer}
            self.emit({**new_event(type_, **values), **about})

    # what needs figures -------------------------------------------------------------------

    def opened(self, session: Session, state: SessionState, resumed: bool) -> None:
        """A session was welcomed."""
        self.of(
            session,
            "session_opened",
            severity=WARN if resumed else INFO,
            transport=state.transport,
            codec=state.codec,
            policy=state.policy,
            num_envs=state.num_envs,
            resumed=resumed,
        )

    def closed(self, session: Session, steps: int, misses: int, reason: str) -> None:
        """A session has ended. A link says goodbye; one that does not was lost."""
        values = {"steps": steps, "misses": misses, **({"reason": reason} if reason else {})}
        lost = session.hello is not None and reason == LOST
        self.of(session, "session_closed", severity=WARN if lost else INFO, **values)

    def missed(self, job: Job, watchdog: DeadlineWatchdog, sent_ns: int, infer_ns: int) -> None:
        """A deadline was missed; `infer_ns` is 0 if the inference still runs."""
        if self._events is None:
            return
        values = {
            "budget_ms": (job.expires_ns - job.received_ns) / 1e6,
            "elapsed_ms": (sent_ns - job.received_ns) / 1e6,
            "consecutive": watchdog.consecutive,
        }
        if infer_ns:  # else `late` will tell
            values["infer_ms"] = infer_ns / 1e6
        self.of(job.session, "deadline_miss", corr_id=job.corr_id, **values)

    def late(self, job: Job, infer_ns: int, ended_ns: int) -> None:
        """An inference ended after its question had been answered with a miss."""
        self.of(
            job.session,
            "late_inference",
            corr_id=job.corr_id,
            infer_ms=infer_ns / 1e6,
            late_ms=(ended_ns - job.expires_ns) / 1e6,
            budget_ms=(job.expires_ns - job.received_ns) / 1e6,
        )

    def degraded(self, session: Session, watchdog: DeadlineWatchdog) -> None:
        """A session entered the degraded mode, or left it."""
        ratio = watchdog.degrade_ratio
        self.of(
            session,
            "degrade_entered" if watchdog.degraded else "degrade_left",
            miss_rate=watchdog.recent_miss_rate,
            threshold=ratio if watchdog.degraded else ratio / 2,
        )
