"""A measured process: start it where it belongs, wait until it is ready, ask for bursts, end it."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .environments import ROOT

READY_TIMEOUT = 30.0  # seconds: a cold import of ONNX Runtime on a busy machine
GRACE = 30.0  # seconds a burst may take longer than it was asked to
END_TIMEOUT = 5.0
PR_SET_PDEATHSIG = 1


class SubjectError(Exception):
    """A measured process did not start, stopped or did not answer; carries its last words."""


class Process:
    """One child that prints `ready` and then answers lines by lines.

    Args:
        name: said in errors.
        argv: command line.
        cpus: the CPUs it may run on, or None for all.
        errors: file its standard error goes to.
    """

    def __init__(self, name: str, argv: Sequence[str], cpus: set[int] | None, errors: Path) -> None:
        self._name = name
        self._errors = errors
        self._rest = b""
        libc, parent = ctypes.CDLL(None), os.getpid()

        def die_with_parent() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        with _placed(cpus), errors.open("wb") as stderr:
            self._child = subprocess.Popen(
                argv,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this program has one thread
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def wait_ready(self) -> list[str]:
        """Wait for the line `ready`; the lines before it are returned."""
        deadline = time.monotonic() + READY_TIMEOUT
        lines: list[str] = []
        while True:
            line = self._line(deadline)
            if line == "ready":
                return lines
            lines.append(line)

    def burst(self, seconds: float, hz: float) -> dict[str, Any]:
        """Ask for one burst and wait for what it measured."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(f"{seconds} {hz}\n".encode())
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: reading says so, with its last words
        answer: dict[str, Any] = json.loads(self._line(time.monotonic() + seconds + GRACE))
        return answer

    def end(self) -> None:
        """End it, gently first."""
        for pipe in (self._child.stdin, self._child.stdout):
            _close(pipe)
        for signal_it in (self._child.terminate, self._child.kill):
            try:
                self._child.wait(END_TIMEOUT / 10)
                return
            except subprocess.TimeoutExpired:
                signal_it()
        self._child.wait(END_TIMEOUT)

    def _line(self, deadline: float) -> str:
        assert self._child.stdout is not None
        fd = self._child.stdout.fileno()
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(fd, 1 << 16) if ready else b""
            if not piece:
                raise SubjectError(self._last_words("ended" if ready else "did not answer"))
            parts.append(piece)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line.decode()

    def _last_words(self, what: str) -> str:
        words = self._errors.read_text(errors="replace").strip().splitlines()[-1:]
        return f"{self._name} {what}: {''.join(words) or 'nothing on standard error'}"


class _placed:
    """While held, children of this process are born on the given CPUs."""

    def __init__(self, cpus: set[int] | None) -> None:
        self._cpus = cpus

    def __enter__(self) -> None:
        self._before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cpus or self._before)

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._before)


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        pass  # what was still to be written has no reader any more
