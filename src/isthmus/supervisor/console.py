"""The terminal of a run: with a log of what the supervisor itself says, and a short memory."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.terminal import OWN, Terminal, wants_colour

__all__ = ["Console"]

_SCREEN = 24
"""Lines that are surely still to be seen."""


class Console(Terminal):
    """Shows lines, from any thread; what the supervisor says goes to its log, too.

    Args:
        names: of the processes.
        logs: where each one's output is, as it is told to the user.
        own_log: the file for the supervisor's own lines.
        environ: as `os.environ`.
    """

    def __init__(
        self,
        names: Sequence[str],
        logs: Mapping[str, str],
        own_log: Path,
        environ: Mapping[str, str],
    ) -> None:
        colour, own_colour = wants_colour(environ, 1), wants_colour(environ, 2)
        super().__init__(names, logs, colour=colour, own_colour=own_colour)
        self._one_screen = _same_file(1, 2)
        self._recent: deque[str] = deque(maxlen=_SCREEN)
        # Trouble with the log is not written to the log.
        self._own_log = LogFile(own_log, lambda text: super(Console, self).show(OWN, text))
        self._writing = threading.Lock()

    def say(self, text: str) -> None:
        """Tell the user, and note it with the time."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for line in text.splitlines():
            with self._writing:
                self._own_log.write(f"{now} {line}\n".encode("utf-8", "replace"))
            self.show(OWN, line)

    def show_all(self, name: str, lines: Sequence[str]) -> None:
        """Queue lines of a process, or of `OWN`."""
        self._recent.extend(name for line in lines[-_SCREEN:] if line.strip())
        super().show_all(name, lines)
        if self.full(name):
            self._recent.clear()  # not all of them will be shown

    def miss(self, name: str, lines: int) -> None:
        """Count lines that were not even made ready to be shown."""
        self._recent.clear()
        super().miss(name, lines)

    def has_just_shown(self, name: str, lines: int) -> bool:
        """Tell whether the last lines of a process stand where the supervisor's own go."""
        return self._one_screen and self._recent.count(name) >= lines

    def close(self) -> None:
        """Write what is left, and let go of the log."""
        with self._writing:
            self._own_log.close()
        super().close()


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:  # one is closed
        return False
