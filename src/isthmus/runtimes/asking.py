"""Run a program that is to answer at once, and end it with all it started if it does not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Answer", "ask"]


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
        return "\n".join([line for line in said if line.strip()][-lines:])


def ask(
    command: Sequence[str | os.PathLike[str]], environ: Mapping[str, str] | None, timeout: float
) -> Answer:
    """Run a program to its end, without input.

    A script between us and the program would leave the program behind, holding our pipe, if only
    the script were killed; so it gets a process group, which ends as a whole.

    Args:
        command: program and arguments.
        environ: its environment; None is ours.
        timeout: seconds.

    Raises:
        OSError: it could not be started.
        TimeoutError: it did not end in time.
    """
    process = subprocess.Popen(
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=None if environ is None else dict(environ),
        start_new_session=True,
    )
    with process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no answer in {timeout:g} s") from error
        finally:
            if process.returncode is None:
                _end_group(process.pid)
                process.communicate()
    return Answer(process.returncode, stdout, stderr)


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself just now
