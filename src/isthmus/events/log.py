"""A log of events: whoever has something to say emits it, and one thread writes it.

::

    log = EventLog(Path("logs"))
    log.start()
    log.emit(new_event("session_opened", session="link-1", ...))
    log.close()

What `emit` costs its caller is an append to a queue. What can be lost, and who says so:

- The process is killed: what was emitted in the last 50 ms or so, and not yet written; some more
  while thousands come in a second. The boot has no `log_closed` then, so what came after its last
  number is unknown; half a line is cut off when the log is next opened, and reported.
- Power is lost: the last second, as the file is given to the disk (`fdatasync`) once a second while
  something is written, when it is full, and at the end. A slow disk holds up the writer, nobody
  else.
- The disk is full, or events come faster than they can be written: those that find the queue full.
  They are counted, their numbers stay empty, and a line `dropped` says which these are as soon as
  lines can be written. If they cannot until the log is closed, an error says so to people.
- Somebody removes the file or the folder, or empties the file: what it held. The log goes on in a
  new one, and a line `log_gone` says which numbers that were.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import EventLogError
from .files import LogFiles
from .kinds import EventSink, new_event
from .mailbox import Mailbox
from .writer import Writer

__all__ = ["CAPACITY", "DEFAULT_NAME", "MAX_BYTES", "QUOTA_BYTES", "EventLog", "EventStats"]

log = logging.getLogger("isthmus.events")

DEFAULT_NAME = "ipc_gateway_events.jsonl"
CAPACITY = 16384
"""Events that may wait."""
MAX_BYTES = 64 << 20
"""Of a file."""
QUOTA_BYTES = 1 << 30
"""Of all files of a log."""
SYNC_INTERVAL = 1.0
"""Seconds."""

_MIN_BYTES = 256
_SLACK = 1.0  # seconds more than a closing writer may try


class EventStats(NamedTuple):
    """What became of the events so far.

    Attributes:
        written: lines, with those that the log says of itself.
        dropped: events lost.
        waiting: events not written yet.
        failed_writes: writes and syncs that failed.
        rotations: files put aside.
        last_error: the last trouble, in the system's words; "" if there was none.
    """

    written: int = 0
    dropped: int = 0
    waiting: int = 0
    failed_writes: int = 0
    rotations: int = 0
    last_error: str = ""


class EventLog:
    """Writes events to a file of JSON lines, off the hot path of who emits them.

    Args:
        folder: where; made if it is missing.
        name: of the live file. Older ones are `NAME.<UTC second>`, see `rotation`.
        max_bytes: a file larger than this is put aside.
        quota_bytes: all files together take at most this; the oldest go.
        compress: gzip what was put aside, in a thread of its own.
        capacity: events that may wait for the writer; more are dropped and counted.
        notes: who takes what the log says of itself (`log_*`, `dropped`); None: they are lines of
            this log. For files whose lines all have one form.
        sync_interval: seconds, see above; None leaves it to the system until a file is full.
        wall: the wall clock, s.
        mono_ns: the monotonic clock.

    Raises:
        ValueError: a bound makes no sense.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = DEFAULT_NAME,
        max_bytes: int = MAX_BYTES,
        quota_bytes: int = QUOTA_BYTES,
        compress: bool = False,
        capacity: int = CAPACITY,
        notes: EventSink | None = None,
        sync_interval: float | None = SYNC_INTERVAL,
        wall: Callable[[], float] = time.time,
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if max_bytes < _MIN_BYTES or capacity < 1:
            raise ValueError(
                f"expected max_bytes of at least {_MIN_BYTES} and a capacity of at least 1, got "
                f"{max_bytes} and {capacity}"
            )
        self.path = folder / name
        self.boot = secrets.token_hex(6)
        """Token of this writer's life, on each line."""
        self._mailbox = Mailbox(capacity, wall=wall, mono_ns=mono_ns)
        self._writer = Writer(
            self._mailbox, name=name, boot=self.boot, notes=notes, sync_interval=sync_interval,
            wall=wall, mono_ns=mono_ns,
        )  # fmt: skip
        self._files = LogFiles(
            self.path, max_bytes=max_bytes, quota_bytes=quota_bytes, compress=compress, wall=wall,
            note=self._writer.note, compress_failed=self._compress_failed,
        )  # fmt: skip
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the log and begin to write. What was emitted before is written too.

        A disk that is full now is no reason to fail: the writer tries on.

        Raises:
            EventLogError: another writer has this log, the folder or file cannot be used as such,
                or it was started before.
        """
        if self._thread is not None or self._mailbox.closed:
            raise EventLogError(f"{self.path}: this log was started before; make another")
        try:
            self._writer.begin(self._files)
        except OSError as error:
            raise EventLogError(
                f"cannot write {self.path}: {error.strerror}; name another folder for the logs"
            ) from error
        self._thread = threading.Thread(
            target=self._writer.run, args=(self._files,), name="isthmus-events", daemon=True
        )
        self._thread.start()

    def emit(self, event: Mapping[str, Any]) -> None:
        """Take one event, from any thread; never wait, never raise.

        The event is written as it is, with `seq`, `boot`, and `ts_wall` and `mono_ns` of now where
        it has none. It is turned into a line later, by another thread: do not change it, or an
        array in it, afterwards. `raw` and `resp` may be the bytes of a message, see `encode`.
        """
        self._mailbox.put(event)

    def stats(self) -> EventStats:
        """Say what became of the events so far."""
        ended = self._thread is not None and not self._thread.is_alive()
        waiting = len(self._mailbox)
        return EventStats(
            written=self._files.written,
            dropped=self._mailbox.dropped + (waiting if ended else 0),
            waiting=0 if ended else waiting,
            failed_writes=self._writer.failed_writes,
            rotations=self._files.rotations,
            last_error=self._writer.last_error,
        )

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, and let go of the log. What comes later is dropped and counted.

        Args:
            timeout: seconds that a disk in trouble is tried; what is not written then is lost, and
                counted.
        """
        self._writer.give_up_at = time.monotonic() + timeout
        self._mailbox.close()
        if self._thread is not None:
            self._thread.join(timeout + _SLACK)
            if self._thread.is_alive():
                waiting = len(self._mailbox)
                log.error("%s: its disk hangs; %d events or more are lost", self.path.name, waiting)

    def _compress_failed(self, file: Path, error: OSError) -> None:
        words = error.strerror or str(error)
        self.emit(new_event("compress_failed", file=file.name, error=words))
