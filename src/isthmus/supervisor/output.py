"""Where the output of a process goes: its log, the terminal, and whoever waits for a line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.terminal import Terminal
from isthmus.supervisor.text import Lines, all_printable, printable

__all__ = ["Output"]

SHOW_AFTER = 1.0
"""Seconds after which an unfinished line is shown as it is: a prompt, a progress bar."""

_SHOWN = 1000  # lines, the last ones, of what comes at once; nobody reads more, the log has all
_REMEMBERED = 1 << 14  # bytes, of which the last words are taken


class Output:
    """Takes what one process writes, over all its restarts.

    Args:
        name: of the process.
        log: keeps all of it.
        terminal: shows it.
    """

    def __init__(self, name: str, log: LogFile, terminal: Terminal) -> None:
        self.on_line: Callable[[str], None] | None = None
        """Called with each whole line while somebody waits for one."""
        self._name = name
        self._log = log
        self._terminal = terminal
        self._lines = Lines()
        self._watched = Lines()  # of its own: what is shown unfinished is not yet a line
        self._tail = b""
        self._flushing: asyncio.TimerHandle | None = None

    def take(self, data: bytes) -> None:
        """Take what came; b"" is the end."""
        if not data:
            self._end()
            return
        self._log.write(data)
        self._tail = (self._tail + data)[-_REMEMBERED:]
        if self.on_line is not None:
            self._watch(self._watched.feed(data))
        missed, data = self._lines.skip(data, _SHOWN)
        if missed:
            self._terminal.miss(self._name, missed)
        self._show(self._lines.feed(data))
        if self._lines.pending and self._flushing is None:
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_later(SHOW_AFTER, self._flush)

    def begin(self, note: str) -> None:
        """Forget the last words, and note in the log that the process starts again."""
        self._tail = b""
        self._watched = Lines()
        self._log.write(f"[isthmus: {note}]\n".encode())

    def tail(self) -> str:
        """Give the last part of the output, safe to show."""
        lines = Lines()
        finished = lines.feed(self._tail)
        return "\n".join(printable(line, colour=False) for line in finished + lines.flush())

    def last_words(self, count: int = 15) -> list[str]:
        """Give the last lines, safe to show."""
        return [line for line in self.tail().split("\n") if line.strip()][-count:]

    def close(self) -> None:
        """Show what is left, and close the log."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        """Everything was said: the last line is a line, also without an end."""
        self._flush()
        self._watch(self._watched.flush())

    def _flush(self) -> None:
        """Show the unfinished line."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._show(self._lines.flush())

    def _watch(self, lines: Sequence[bytes]) -> None:
        if self.on_line is not None:
            for line in all_printable(lines, colour=False):
                self.on_line(line)

    def _show(self, lines: Sequence[bytes]) -> None:
        if lines and self._terminal.full(self._name):
            self._terminal.miss(self._name, len(lines))  # a flood costs no more than this
        elif lines:
            colour = self._terminal.colour
            self._terminal.show_all(self._name, all_printable(lines, colour=colour))
