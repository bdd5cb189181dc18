"""A gateway of our own, in a process of its own, for as long as something is measured."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from isthmus.contract import Contract
from isthmus.errors import ConnectError

__all__ = ["PrivateGateway"]

_START_TIMEOUT = 60.0
_END_TIMEOUT = 10.0
_PR_SET_PDEATHSIG = 1


class PrivateGateway:
    """`isthmus serve constant` with this contract, on a Unix socket and a free TCP port.

    Attributes:
        urls: scheme -> address.
    """

    def __init__(self, contract: Contract) -> None:
        """Say what to serve; it starts in the `with` block."""
        self.urls: dict[str, str] = {}
        self._contract = contract
        self._child: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> PrivateGateway:
        """Start it and wait until it is ready.

        Raises:
            ConnectError: it did not start; its last words are in the message.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="isthmus-bench-")
        folder = Path(self._folder.name)
        file = folder / "contract.json"
        file.write_text(json.dumps(self._contract.to_dict()), encoding="utf-8")
        argv = [
            sys.executable, "-m", "isthmus", "serve", "constant", "--contract", str(file),
            "--listen", f"unix:{folder / 'socket'}", "--listen", "tcp://127.0.0.1:0",
        ]  # fmt: skip
        try:
            with (folder / "said").open("wb") as said:
                self._child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                    preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509 - one thread here
                )
            self._wait(folder / "said")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, gently first."""
        child, self._child = self._child, None
        if child is not None:
            child.terminate()
            try:
                child.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _wait(self, said: Path) -> None:
        assert self._child is not None and self._child.stdout is not None  # noqa: S101
        pipe = self._child.stdout.fileno()
        until = time.monotonic() + _START_TIMEOUT
        text = b""
        while b"\nready\n" not in text:
            left = until - time.monotonic()
            ready = select.select([pipe], [], [], max(0.0, left))[0]
            piece = os.read(pipe, 65536) if ready else b""
            if not piece:
                words = said.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
                raise ConnectError(
                    "the private gateway did not start"
                    + (f": {words}" if words else f" in {_START_TIMEOUT:g} s")
                )
            text += piece
        for line in text.decode().splitlines():
            if line.startswith("listening "):
                url = line.split(maxsplit=1)[1]
                self.urls[url.partition(":")[0]] = url


def _dying_with(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return die_with_parent
