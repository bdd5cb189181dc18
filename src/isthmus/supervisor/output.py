"""Where the output of a process goes: its log, the terminal, and whoever waits for a line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.terminal import Terminal
from isthmus.supervisor.text import Lines, printable

__all__ = ["Output"]

SHOW_AFTER = 1.0
"""Seconds after which an unfinished line is shown as it is: a prompt, a progress bar."""

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
        """Called with each line while somebody waits for one."""
        self._name = name
        self._log = log
        self._terminal = terminal
        self._lines = Lines()
        self._tail = b""
        self._flushing: asyncio.TimerHandle | None = None

    def take(self, data: bytes) -> None:
        """Take what came; b"" is the end."""
        if not data:
            self._flush()
            return
        self._log.write(data)
        self._tail = (self._tail + data)[-_REMEMBERED:]
        self._pass_on(self._lines.feed(data))
        if self._lines.pending and self._flushing is None:
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_later(SHOW_AFTER, self._flush)

    def begin(self, note: str) -> None:
        """Forget the last words, and note in the log that the process starts again."""
        self._tail = b""
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
        self._flush()
        self._log.close()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._pass_on(self._lines.flush())

    def _pass_on(self, lines: list[bytes]) -> None:
        if self.on_line is None and lines and self._terminal.full(self._name):
            self._terminal.miss(self._name, len(lines))  # a flood costs no more than this
            return
        for line in lines:
            if self.on_line is not None:
                self.on_line(printable(line, colour=False))
            self._terminal.show(self._name, printable(line, colour=self._terminal.colour))
