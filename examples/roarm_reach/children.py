"""Child processes that cannot outlive their parent. Standard library only; Linux.

Each child leads a process group of its own, so that Ctrl-C on the terminal reaches the parent
alone, which then decides. The kernel kills a child whose parent died, even a stopped one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO

PR_SET_PDEATHSIG = 1

# What makes one Python find another's files. `CONDA_` is a prefix.
FOREIGN = (
    "PYTHONHOME PYTHONPATH PYTHONEXECUTABLE PYTHONUSERBASE PYTHONSTARTUP OLD_PYTHONPATH PYTHONEXE "
    "__PYVENV_LAUNCHER__ VIRTUAL_ENV LD_PRELOAD CARB_APP_PATH EXP_PATH ISAAC_PATH"
).split()


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to some other Python."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in FOREIGN and not name.startswith("CONDA_")
    }
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


class Lines:
    """Complete lines from a descriptor, as they come."""

    def __init__(self, pipe: IO[bytes] | int) -> None:
        self.fd = pipe if isinstance(pipe, int) else pipe.fileno()
        self.ended = False
        self._rest = b""
        os.set_blocking(self.fd, False)

    def fileno(self) -> int:
        """For `select`."""
        return self.fd

    def read(self) -> list[str]:
        """Every line that is there; sets `ended` at the end of the file."""
        while not self.ended:
            try:
                chunk = os.read(self.fd, 65536)
            except BlockingIOError:
                break
            self.ended = not chunk
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        if self.ended and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode("utf-8", "replace") for line in lines]


class Child:
    """One child process, and the last lines it wrote to stderr if that is piped.

    Attributes:
        words: what it writes to stderr, or None if that is not piped.

    Args:
        name: how messages call it.
        command: interpreter and arguments.
        stdout: as subprocess's; None inherits.
        stderr: as subprocess's; None inherits.
        pass_fds: descriptors the child keeps.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        stdout: int | None = None,
        stderr: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.last_words: deque[str] = deque(maxlen=15)
        libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

        def in_child() -> None:
            os.setpgid(0, 0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os.kill(os.getpid(), signal.SIGKILL)

        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            env=clean_environ(os.environ),
            preexec_fn=in_child,  # noqa: PLW1509 - this program has one thread
        )
        self.words = None if self.process.stderr is None else Lines(self.process.stderr)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self.process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal, or None while it runs."""
        return self.process.poll()

    def signal(self, number: int) -> None:
        """Signal the whole group; a group that is gone is no error."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def hear(self) -> None:
        """Keep the last of what it wrote to stderr."""
        if self.words is not None:
            self.last_words.extend(self.words.read())

    def stop(self, patience: float = 5.0) -> int:
        """End it: politely, then not. Returns its exit status."""
        if self.status is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        status = self.process.wait()
        self.signal(signal.SIGKILL)  # what it may have started itself
        self.hear()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self.words = None
        return status

    def epitaph(self) -> str:
        """How it ended, and its last words."""
        status = self.status
        if status is None:
            how = "still runs"
        elif status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        words = "".join(f"\n  | {line}" for line in self.last_words)
        return f"{self.name} (process {self.pid}) {how}{words}"
