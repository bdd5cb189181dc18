"""Gateways to test against: an engine in a thread, and a real one in a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import isthmus
from isthmus.gateway import Engine, Settings
from isthmus.policy.base import Policy
from isthmus.transport import Address, parse
from isthmus.transport.sockets import listen

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """An engine that runs in a thread of this process.

    Attributes:
        engine: the engine; look at its counters only.
        unix: address of its Unix socket.
        tcp: address of its TCP port.
    """

    def __init__(self, engine: Engine, unix: str, tcp: str) -> None:
        self.engine = engine
        self.unix = unix
        self.tcp = tcp
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.engine.run()
        except BaseException as exc:
            self.fault = exc

    def connect(self, **options: Any) -> isthmus.Link:
        """A link to it; a generous deadline unless told otherwise."""
        options.setdefault("deadline", 5.0)
        return isthmus.connect(options.pop("url", self.unix), **options)

    def close(self) -> None:
        """Stop, and see that it did not die of anything."""
        if self._thread.is_alive():
            self.engine.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.fault is not None:
            raise AssertionError("the engine died") from self.fault


@contextmanager
def serving(
    *policies: Policy, settings: Settings | None = None, **options: Any
) -> Iterator[Served]:
    """Serve these policies on a private Unix socket and a free TCP port.

    Args:
        policies: what is served.
        settings: how the engine behaves.
        options: further keyword arguments of the engine.
    """
    with tempfile.TemporaryDirectory(prefix="isth") as folder:
        unix = f"unix:{folder}/s"
        listeners = [listen(parse(unix)), listen(parse("tcp://127.0.0.1:0"))]
        tcp = listeners[1].address.url
        hidden = f"isthmus-test-{os.getpid()}-{Path(folder).name}"
        listeners.append(listen(Address("unix", path="\0" + hidden)))
        try:
            engine = Engine(
                {policy.name: policy for policy in policies}, listeners, settings,
                upgrade_at="@" + hidden, **options,
            )  # fmt: skip
        except BaseException:
            for listener in listeners:
                listener.close()
            raise
        served = Served(engine, unix, tcp)
        try:
            yield served
        finally:
            served.close()


class Gateway:
    """A real `isthmus serve` in a process of its own.

    Attributes:
        addresses: what it says it listens on.
        http: where it says it answers HTTP; "" if nowhere.
    """

    def __init__(
        self,
        *arguments: str,
        python: Path | None = None,
        before: Callable[[], None] | None = None,
        prelude: str = "",
    ) -> None:
        """Start it and wait until it is ready; `prelude` is Python that runs first."""
        start = prelude + "\nimport sys\nfrom isthmus.cli.main import main\nsys.exit(main())"
        self.process = subprocess.Popen(
            [str(python or sys.executable), "-c", start, "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
            preexec_fn=before,
        )
        self.addresses: list[str] = []
        self.http = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("listening "):
                self.addresses.append(line.split(maxsplit=1)[1].strip())
            if line.startswith("http "):
                self.http = line.split(maxsplit=1)[1].strip()
            if line.strip() == "ready":
                return
        _, said = self.process.communicate()
        raise AssertionError(f"the gateway did not start: {said}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        """Kill -9, also if it is stopped or dead."""
        self.process.kill()
        self.process.communicate(timeout=30)


@contextmanager
def gateway(*arguments: str, **options: Any) -> Iterator[Gateway]:
    """A gateway in a process, killed at the end if it still runs."""
    found = Gateway(*arguments, **options)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.kill()
        for pipe in (found.process.stdout, found.process.stderr):
            if pipe is not None:
                pipe.close()


def halving(*listen: str) -> Sequence[str]:
    """Arguments that serve the halving policy at these addresses."""
    found = ["tests.support.served:halving"]
    for url in listen:
        found += ["--listen", url]
    return found
