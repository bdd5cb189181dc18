"""The one thread that numbers events, makes lines of them, and has them written.

A number belongs to every event that was emitted, in the order in which they came. One that found no
room uses up its number too: so a number that is missing in the files is an event lost, and the line
`dropped` that follows says the same. While the disk is full the thread keeps what it has in its
hand, tries again, and the mailbox fills; nobody waits.

It is considerate. This thread shares an interpreter with the engine, which would have to wait for
it up to 5 ms, Python's switch interval. So it works in bouts of some 50 us and sleeps between them;
merely to offer the interpreter is not enough, as the one that offers is the first to have it back.
The more events wait, the longer are the bouts and the shorter the rests: what waits is what a kill
takes, so it has to stay short also when clients ask as fast as they can.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EventLogError
from .encode import encode
from .files import Line, LogFiles
from .kinds import EventSink, new_event
from .mailbox import Entry, Mailbox

__all__ = ["Writer"]

log = logging.getLogger("isthmus.events")

_BOUT_NS, _BREATH = 50_000, 0.0002  # work, then seconds in which others have the interpreter
_HASTY_BOUT_NS, _HASTY_BREATH = 500_000, 0.0001  # the same in haste
_HASTE_AT = 512  # events that wait; with more of them the writer is in full haste
_LINGER = 0.05  # seconds in which events gather
_RETRY = 0.25  # seconds until a disk that was full is tried again
_NEVER = 1 << 62
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass
class _Trouble:
    """What keeps the log from being written.

    Attributes:
        since: when it began, monotonic s.
        error: in the system's words.
        failures: tries so far.
    """

    since: float
    error: str
    failures: int = 0


class Writer:
    """What the thread of a log does.

    Args:
        mailbox: where events come from.
        name: of the log, as its own events say.
        boot: token of this writer's life.
        notes: who takes the log's own events; None: they are lines of the log.
        sync_interval: seconds; so often at most the disk is asked to have everything. None: only
            when a file is full, and at the end.
        wall: the wall clock, s.
        mono_ns: the monotonic clock.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        name: str,
        boot: str,
        notes: EventSink | None,
        sync_interval: float | None,
        wall: Callable[[], float],
        mono_ns: Callable[[], int],
    ) -> None:
        self.failed_writes = 0
        self.last_error = ""
        self.give_up_at = math.inf
        """Monotonic second after which a closing writer tries no longer."""
        self._mailbox = mailbox
        self._name, self._boot, self._notes = name, boot, notes
        self._sync_interval = sync_interval
        self._wall, self._mono_ns = wall, mono_ns
        self._lines: deque[Line] = deque()
        self._seq = 0
        self._known_dropped = 0
        self._trouble: _Trouble | None = None
        self._synced = time.monotonic()

    def note(self, type_: str, /, **values: object) -> None:
        """Say something of the log itself, as `files.Note`."""
        event = new_event(type_, file=self._name, **values)
        if self._notes is None:
            self._number(Entry(self._wall(), self._mono_ns(), 0, 0, event))
        else:
            self._notes.emit(event)

    def begin(self, files: LogFiles) -> None:
        """Open the log, before there is a thread: who starts it learns what is wrong.

        Raises:
            EventLogError: another writer has it, or there is something else of that name.
            OSError: it cannot be used. A disk that is full just now is tried again later.
        """
        self.note("log_opened", pid=os.getpid())
        try:
            files.open()
        except OSError as error:
            if error.errno not in _PASSING:
                files.close()
                raise
            self._fail(error)
        except EventLogError:
            files.close()
            raise

    def run(self, files: LogFiles) -> None:
        """Write until the mailbox is closed and empty."""
        try:
            while not self._is_over():
                self._fill()
                self._write(files)
                self._sync(files)
                self._rest(files)
            self._end(files)
        except BaseException as error:
            log.exception("the writer of %s has ended; events are lost from now on", self._name)
            self.last_error = str(error)
            raise
        finally:
            self._mailbox.close()
            self._mailbox.lose(len(self._lines))
            files.close()

    def _is_over(self) -> bool:
        if not self._mailbox.closed:
            return False
        done = not self._lines and not len(self._mailbox)
        return (done and self._trouble is None) or time.monotonic() >= self.give_up_at

    def _fill(self) -> None:
        """Make lines of a bout of events; while the disk is in trouble there are enough."""
        if self._lines:
            return
        dropped = self._mailbox.dropped
        end = time.monotonic_ns() + self._pace()[0]
        while entry := self._mailbox.take():
            self._say_dropped(entry.dropped)
            self._number(entry)
            if time.monotonic_ns() >= end:
                return
        self._say_dropped(dropped)

    def _pace(self) -> tuple[int, float]:
        """Work, in ns, and rest, in seconds: in more haste the more events wait."""
        waiting = len(self._mailbox)
        full = min(_HASTE_AT, max(self._mailbox.capacity // 2, 1))
        haste = 1.0 if self._mailbox.closed else min(waiting / full, 1.0)
        bout_ns = _BOUT_NS + round(haste * (_HASTY_BOUT_NS - _BOUT_NS))
        return bout_ns, _BREATH + haste * (_HASTY_BREATH - _BREATH)

    def _number(self, entry: Entry) -> None:
        self._lines.append(Line(self._seq, encode(self._seq, self._boot, entry)))
        self._seq += 1

    def _say_dropped(self, dropped: int) -> None:
        """Leave out the numbers of events that were dropped, and say so."""
        count = dropped - self._known_dropped
        if count <= 0:
            return
        self._known_dropped = dropped
        first = self._seq
        self._seq += count
        why = f"{self._mailbox.capacity} events were waiting already"
        if self.last_error:
            why += f"; the last trouble with the log was: {self.last_error}"
        self.note("dropped", count=count, first_seq=first, last_seq=self._seq - 1, why=why)

    def _write(self, files: LogFiles) -> None:
        if not self._lines and self._trouble is None:
            return
        try:
            files.write(self._lines)
            if self._trouble is not None:
                files.sync()
        except (OSError, EventLogError) as error:
            self._fail(error)
            return
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            log.info("%s can be written again", self._name)
            seconds = round(time.monotonic() - trouble.since, 3)
            self.note(
                "log_writable", error=trouble.error, failures=trouble.failures, seconds=seconds
            )

    def _fail(self, error: OSError | EventLogError) -> None:
        self.failed_writes += 1
        words = error.strerror if isinstance(error, OSError) else None
        self.last_error = words or str(error)
        if self._trouble is None:
            self._trouble = _Trouble(time.monotonic(), self.last_error)
            log.warning("cannot write %s: %s; trying on", self._name, self.last_error)
        self._trouble.failures += 1

    def _sync(self, files: LogFiles) -> None:
        if self._sync_interval is None or not files.dirty:
            return
        if time.monotonic() - self._synced >= self._sync_interval:
            self._sync_now(files)

    def _sync_now(self, files: LogFiles) -> None:
        try:
            files.sync()
        except OSError as error:
            self._fail(error)
        self._synced = time.monotonic()

    def _rest(self, files: LogFiles) -> None:
        """Sleep until there is something to do."""
        half = self._mailbox.capacity // 2
        if self._trouble is not None:
            if self._mailbox.closed:
                time.sleep(_LINGER)
            else:
                self._mailbox.wait(_RETRY, at=_NEVER)
        elif self._lines or self._mailbox.closed:
            return
        elif self._mailbox.dropped != self._known_dropped and not len(self._mailbox):
            return  # to be said now, not when the next event comes
        elif len(self._mailbox):
            time.sleep(self._pace()[1])
        elif not self._mailbox.wait(_LINGER, at=half) and not len(self._mailbox):
            self._sleep_deep(files)

    def _sleep_deep(self, files: LogFiles) -> None:
        """Nothing comes at the moment: the next event wakes us, or what is to be synced."""
        timeout = None
        if self._sync_interval is not None and files.dirty:
            timeout = max(self._synced + self._sync_interval - time.monotonic(), 0.0)
        self._mailbox.wait(timeout, at=0)

    def _end(self, files: LogFiles) -> None:
        if self._lines or len(self._mailbox):
            self._give_up(files)
            return
        self._say_dropped(self._mailbox.dropped)
        self.note("log_closed", written=files.written, dropped=self._known_dropped)
        self._write(files)
        self._sync_now(files)

    def _give_up(self, files: LogFiles) -> None:
        """Lose what waits, and say so: to people, and to the log if it has room for two lines."""
        waiting = 0
        while self._mailbox.take():
            waiting += 1
        first = files.last_seq + 1
        self._seq += waiting + self._mailbox.dropped - self._known_dropped
        self._mailbox.lose(len(self._lines) + waiting)
        self._known_dropped = self._mailbox.dropped
        self._lines.clear()
        lost, why = self._seq - first, f"until the end: {self.last_error or 'the time was over'}"
        self.note("dropped", count=lost, first_seq=first, last_seq=self._seq - 1, why=why)
        self.note("log_closed", written=files.written, dropped=self._known_dropped)
        try:
            files.write(self._lines)
            files.sync()
        except (OSError, EventLogError):
            self._lines.clear()
        log.error(
            "%s: the last %d events, from number %d on, are lost: %s",
            self._name, lost, first, self.last_error or "the time was over",
        )  # fmt: skip
