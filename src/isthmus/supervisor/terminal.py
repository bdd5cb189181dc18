"""What the user sees: lines of all processes, each behind its process's name.

Lines are put in a queue that is bounded for each source, and written by a thread of its own: a
terminal that is stopped (Ctrl-S), slow or closed holds up neither the supervisor nor a process.
What does not fit is counted, and the count is shown where the lines would have been. That goes for
what Python itself says too (a log of asyncio's, a warning): it takes the same way.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TextIO, cast

__all__ = ["OWN", "Terminal", "wants_colour"]

OWN = ""
"""The name of no process: what the supervisor itself says. It goes to standard error."""
_OWN_PREFIX = "isthmus"
_STDERR = 2

MAX_WAITING = 2000
"""Lines of one source that may wait."""
MAX_WAITING_SIZE = 1 << 20
"""Characters of one source that may wait, give or take a line."""
_BATCH, _BATCH_SIZE = 200, 1 << 16  # lines and characters written at once
_FAREWELL = 2.0  # seconds that the rest may take at the end

_COLOURS = (36, 33, 32, 35, 34, 31)
_OWN_COLOUR = 1


class Terminal:
    """Shows lines on two descriptors, from any thread, without ever waiting for them.

    Args:
        names: of the processes; they decide the prefix's width and colours.
        logs: where each process's whole output is, for the count of lines not shown.
        colour: colour the prefixes, and keep the colours of the lines.
        own_colour: colour the supervisor's own prefix; None as `colour`.
        out: descriptor for what processes write.
        err: descriptor for what the supervisor says.
    """

    def __init__(
        self,
        names: Sequence[str],
        logs: Mapping[str, str],
        *,
        colour: bool,
        own_colour: bool | None = None,
        out: int = 1,
        err: int = 2,
    ) -> None:
        self.colour = colour
        self._own_colour = colour if own_colour is None else own_colour
        self._logs = logs
        self._width = max(map(len, [*names, _OWN_PREFIX]))
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._colours[OWN] = _OWN_COLOUR
        self._out, self._err = out, err
        self._lines: deque[tuple[str, str]] = deque()
        self._waiting: Counter[str] = Counter()
        self._size: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ending = False
        self._stderr: TextIO | None = None
        self._closed_descriptors: set[int] = set()
        self._thread = threading.Thread(target=self._write_on, name="terminal", daemon=True)

    def start(self) -> None:
        """Begin to write; also what is said on `sys.stderr`, if that is where our own words go."""
        self._thread.start()
        if self._err == _STDERR:
            self._stderr, sys.stderr = sys.stderr, cast(TextIO, _Voice(self))

    def show(self, name: str, text: str) -> None:
        """Queue a line of a process, or of `OWN`."""
        self.show_all(name, [text])

    def show_all(self, name: str, lines: Sequence[str]) -> None:
        """Queue lines of a process, or of `OWN`."""
        with self._changed:
            for text in lines:
                if self._is_full(name):
                    self._missed[name] += 1
                else:
                    self._note_missed(name)
                    self._put(name, text)
            self._changed.notify()

    def full(self, name: str) -> bool:
        """Tell whether a line of `name` would only be counted."""
        with self._changed:
            return self._is_full(name)

    def miss(self, name: str, lines: int) -> None:
        """Count lines that were not even made ready to be shown."""
        with self._changed:
            self._missed[name] += lines

    def close(self) -> None:
        """Write what is left, if that goes quickly; else nothing that comes later may wait."""
        if self._stderr is not None:
            sys.stderr, self._stderr = self._stderr, None
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)
        if self._thread.is_alive():
            _silence({self._out, self._err})

    def _is_full(self, name: str) -> bool:
        return self._waiting[name] >= MAX_WAITING or self._size[name] >= MAX_WAITING_SIZE

    def _put(self, name: str, text: str) -> None:
        self._size[name] += len(text)
        self._lines.append((name, text))
        self._waiting[name] += 1

    def _note_missed(self, name: str) -> None:
        missed = self._missed.pop(name, 0)
        if missed:
            where = f", see {self._logs[name]}" if name in self._logs else ""
            self._put(name, f"... {missed} line{'s' * (missed > 1)} not shown{where}")

    def _write_on(self) -> None:
        while batch := self._take():
            for descriptor, data in self._encoded(batch):
                self._write(descriptor, data)

    def _take(self) -> list[tuple[str, str]]:
        """Wait for lines; none means the end."""
        with self._changed:
            while not self._lines:
                for name in tuple(self._missed):
                    self._note_missed(name)
                if self._lines:
                    break
                if self._ending:
                    return []
                self._changed.wait()
            batch: list[tuple[str, str]] = []
            size = 0
            while self._lines and len(batch) < _BATCH and size < _BATCH_SIZE:
                name, text = self._lines.popleft()
                batch.append((name, text))
                size += len(text)
                self._waiting[name] -= 1
                self._size[name] -= len(text)
        return batch

    def _encoded(self, batch: Sequence[tuple[str, str]]) -> list[tuple[int, bytes]]:
        """Put neighbours that go the same way together."""
        runs = groupby(batch, key=lambda each: self._err if each[0] == OWN else self._out)
        return [
            (descriptor, self._text(lines).encode("utf-8", "replace")) for descriptor, lines in runs
        ]

    def _text(self, lines: Iterable[tuple[str, str]]) -> str:
        return "".join(f"{self._prefix(name)}{text}\n" for name, text in lines)

    def _prefix(self, name: str) -> str:
        prefix = f"{name or _OWN_PREFIX:<{self._width}} |"
        colour = self.colour if name else self._own_colour
        return f"\x1b[{self._colours[name]}m{prefix}\x1b[0m " if colour else f"{prefix} "

    def _write(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view and descriptor not in self._closed_descriptors:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:  # somebody else has made it so; wait as if they had not
                select.select([], [descriptor], [])
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return  # a file on a full disk: it may have room later
                self._closed_descriptors.add(descriptor)


class _Voice(io.TextIOBase):
    """A standard error that never waits."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        self._terminal.show_all(OWN, lines)
        return len(text)


def _silence(descriptors: Iterable[int]) -> None:
    """Lead descriptors that nobody takes from to nowhere: a last word must not hold up the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for descriptor in descriptors:
        if not select.select([], [descriptor], [], 0)[1]:
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def wants_colour(environ: Mapping[str, str], descriptor: int) -> bool:
    """Tell whether to colour: on a terminal that can, unless NO_COLOR is set."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return os.isatty(descriptor)
