"""Run a program that is to answer at once, and end it with all it started if it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from isthmus.runtimes.lastwords import shortened

__all__ = ["Answer", "ask", "end_session", "has_ended", "text_of"]

_TICK = 0.004  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said before it ended.

    Attributes:
        status: its exit status; negative for the signal that ended it.
        stdout: what it printed.
        stderr: likewise.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def ending(self) -> str:
        """How it ended, for a person: "status 3", or "signal 11 (SIGSEGV)"."""
        if self.status >= 0:
            return f"status {self.status}"
        try:
            return f"signal {-self.status} ({signal.Signals(-self.status).name})"
        except ValueError:  # a real-time signal has no name
            return f"signal {-self.status}"

    def last_words(self, lines: int = 15) -> str:
        """The end of what it said, errors last."""
        said = [*self.stdout.splitlines(), *self.stderr.splitlines()]
        last = [line for line in said if line.strip()][-lines:]
        return "\n".join(map(shortened, last))


def ask(
    command: Sequence[str | os.PathLike[str]], environ: Mapping[str, str] | None, timeout: float
) -> Answer:
    """Run a program to its end, without input.

    It gets a session of its own, which ends as a whole: a script between us and the program would
    leave the program behind if only the script were killed. What it says goes to files: what it
    leaves running may hold on to a pipe, and is not waited for.

    Args:
        command: program and arguments.
        environ: its environment; None is ours.
        timeout: seconds.

    Raises:
        OSError: it could not be started.
        TimeoutError: it did not end in time.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=None if environ is None else dict(environ),
            start_new_session=True,
        )
        try:
            in_time = has_ended(process, timeout)
        finally:
            status = end_session(process)
        if not in_time:
            raise TimeoutError(f"no answer in {timeout:g} s")
        return Answer(status, text_of(out), text_of(err))


def has_ended(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for the end of a process and leave it there: its number stays that of its session.

    Args:
        process: leads a session.
        timeout: seconds.

    Returns:
        False if it takes longer.
    """
    deadline = time.monotonic() + timeout
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_TICK)
    return True


def end_session(process: subprocess.Popen[bytes]) -> int:
    """End whatever is left of the session that a process leads; the status of the process."""
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def text_of(file: IO[bytes]) -> str:
    """Read all that was written to a file, as text."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")
