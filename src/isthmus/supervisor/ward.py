"""The supervisor's end of a warden: start it, tell it what to do, hear what became of its process.

The other end is `warden.py`, which says how they talk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.errors import SupervisionError
from isthmus.supervisor import warden

__all__ = ["Ending", "Order", "Ward"]

F_SETPIPE_SZ = 1031  # `fcntl` has the name only where it was built with it
_PIPE = 1 << 20  # bytes that a process may be ahead of us, before its next write waits
_READ = 1 << 18  # bytes at once: in a flood, other processes have their turn between two reads
_HEAR = 1 << 16
_LAST_BREATH = 1.0  # seconds that a process whose warden was killed may take to fall silent
_LOOK_AGAIN = 0.005  # seconds

GRACE = 3.0
"""Seconds that a warden has to do what it does at once; then it is taken for stuck, and killed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a warden is to start.

    Attributes:
        argv: the program's arguments, its name first.
        executable: the file that is executed.
        environ: its whole environment.
        cwd: its folder.
        sockets: the run's private folder; made if it is not there.
        log: where the process's output goes if the supervisor has gone.
        signal: what ends it well.
        patience: seconds between that and SIGKILL.
    """

    argv: tuple[str, ...]
    executable: str
    environ: Mapping[str, str]
    cwd: str
    sockets: str
    log: str
    signal: int
    patience: float

    def line(self) -> bytes:
        """Write it as the warden reads it."""
        # No asdict: `environ` may be any mapping.
        facts = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**facts, "environ": dict(self.environ)}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended.

    Attributes:
        status: its exit status; negative is the number of the signal that ended it.
        leftovers: how many processes it left behind; they have been ended.
        orphaned: True if its warden was killed, and the process with it.
    """

    status: int
    leftovers: int = 0
    orphaned: bool = False


class Ward:
    """One warden and the process it owns.

    Attributes:
        pid: of the process; 0 before it is started.
        warden: the warden's process number.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, wardens: set[int]
    ) -> None:
        self.pid = 0
        self.warden = process.pid
        self._wardens = wardens
        wardens.add(process.pid)
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._status: int | None = None
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._over: asyncio.Future[Ending] = self._loop.create_future()
        self._silent: asyncio.Future[None] = self._loop.create_future()
        self._output: Callable[[bytes], None] = lambda _: None
        self._reading = -1
        self._taken = 0
        self._doom: asyncio.TimerHandle | None = None

    @classmethod
    async def start(
        cls,
        order: Order,
        *,
        run_id: str,
        name: str,
        lock: int,
        wardens: set[int],
        output: Callable[[bytes], None],
    ) -> Ward:
        """Start a warden, and the process by it.

        Args:
            order: what to start.
            run_id: of the run.
            name: of the process.
            lock: descriptor of the run's lock; the warden holds it too.
            wardens: process numbers of all wardens; kept up to date.
            output: called with what the process writes, and with b"" at the end of it.

        Raises:
            SupervisionError: the warden or the process could not be started.
        """
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", warden.__file__]
                + [run_id, name, str(lock), str(reading)],
                stdin=theirs.fileno(),
                stdout=writing,
                stderr=writing,
                pass_fds=(lock, reading),
                start_new_session=True,
                env={**os.environ, "ISTHMUS_RUN_ID": run_id, "ISTHMUS_PROCESS": name},
                cwd="/",
            )
        except OSError as exc:
            ours.close()
            os.close(reading)
            raise SupervisionError(f"{name}: cannot start its warden: {exc}") from exc
        finally:
            theirs.close()
            os.close(writing)
        with contextlib.suppress(OSError):  # beyond what a user may have in pipes
            fcntl.fcntl(reading, F_SETPIPE_SZ, _PIPE)
        ours.setblocking(False)
        os.set_blocking(reading, False)
        ward = cls(process, ours, wardens)
        ward._listen(reading, output)
        try:
            await ward._loop.sock_sendall(ours, order.line())
            await asyncio.shield(ward._started)
        except (OSError, SupervisionError) as exc:
            await ward.dismiss()
            raise exc if isinstance(exc, SupervisionError) else SupervisionError(str(exc)) from exc
        return ward

    async def wait(self) -> Ending:
        """Wait until nothing of the process is left, and all that it wrote was read."""
        ending = await asyncio.shield(self._over)
        if ending.orphaned:  # what comes from it may be in the middle of a word
            await asyncio.wait([self._silent], timeout=_LAST_BREATH)
        await self._drain()
        return ending

    def stop(self, number: int, patience: float) -> None:
        """Ask the process to end; after `patience` seconds it is killed."""
        self._tell(stop=number, patience=patience)

    def kill(self) -> None:
        """End the process, and all that came from it, now; a warden that does not do it, too."""
        self._tell(kill=True)
        self._doom = self._doom or self._loop.call_later(GRACE, self._give_up)

    async def dismiss(self) -> None:
        """Let the warden go; what is left of its process is ended first."""
        if self._control.fileno() < 0:
            return  # done before
        if self.pid:
            self.kill()
            await asyncio.shield(self._over)
        self._tell(dismiss=True)
        give_up = self._loop.time() + GRACE
        while self._process.poll() is None:
            if self._loop.time() > give_up:
                self._process.kill()
            await asyncio.sleep(_LOOK_AGAIN)
        if self._doom is not None:
            self._doom.cancel()
        self._loop.remove_reader(self._control)
        self._control.close()
        self._wardens.discard(self.warden)
        await self._drain()
        self._close_output()

    async def _drain(self) -> None:
        """Read what is in the pipe by now. Who writes on is a stranger, given the descriptor."""
        until = self._taken + (_unread(self._reading) if self._reading >= 0 else 0)
        while self._reading >= 0 and self._taken < until:
            self._read_output()
            await asyncio.sleep(0)
        if self._reading >= 0:
            self._output(b"")

    def _listen(self, reading: int, output: Callable[[bytes], None]) -> None:
        self._reading = reading
        self._output = output
        self._loop.add_reader(reading, self._read_output)
        self._loop.add_reader(self._control, self._hear)

    def _read_output(self) -> None:
        """Pass on what is there."""
        try:
            data = os.read(self._reading, _READ)
        except BlockingIOError:
            return
        self._taken += len(data)
        self._output(data)
        if not data:
            self._close_output()
            self._silent.set_result(None)

    def _close_output(self) -> None:
        if self._reading >= 0:
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = -1

    def _give_up(self) -> None:
        """Kill a warden that is stuck: its process goes with it, the rest comes to us."""
        if not self._over.done():
            self._process.kill()

    def _tell(self, **order: object) -> None:
        self._process.send_signal(signal.SIGCONT)  # a stopped warden hears nothing
        try:
            self._control.send(json.dumps(order).encode() + b"\n")
        except OSError:
            pass  # it has gone, which is heard as the end of its socket

    def _hear(self) -> None:
        try:
            data = self._control.recv(_HEAR)
        except ConnectionError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            self._lost()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, event: Mapping[str, Any]) -> None:
        if "started" in event:
            self.pid = event["started"]
            self._started.set_result(None)
        elif "failed" in event:
            self._started.set_exception(SupervisionError(f"cannot start {event['failed']}"))
        elif "ended" in event:
            self._status = event["ended"]
        elif "over" in event and self._status is not None:
            self._over.set_result(Ending(self._status, event["over"]))

    def _lost(self) -> None:
        if not self._started.done():
            self._started.set_exception(SupervisionError("its warden was killed"))
        elif not self._over.done():
            # The kernel has killed the process with it, unless it had ended before.
            status = -9 if self._status is None else self._status
            self._over.set_result(Ending(status, orphaned=True))


def _unread(descriptor: int) -> int:
    """Tell how many bytes are in a pipe."""
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
    return int(count)
