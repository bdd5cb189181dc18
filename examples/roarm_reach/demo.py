"""One arm, two Pythons, one command.

    make demo
    python demo.py --sim-python .envs/sim/bin/python --policy-python .envs/policy/bin/python

Starts a gateway that holds the policy in one Python and `sim.py` in another, watches both, draws
the run (`report.py`), prints one table and leaves nothing behind. Standard library only: it runs in
any Python >= 3.10.

Exit status: 0 if the arm reached at least 70 % of its goals; 1 if it did not; 2 if the command line
is wrong; 3 if a side failed; 130 if interrupted. With `--stall`, episodes during which the gateway
was stopped are set aside, and the others must reach.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from children import Child, Lines, clean_environ  # noqa: E402
from table import print_table  # noqa: E402

ENOUGH = 0.7
READY_TIMEOUT = 60.0
SAVE_TIMEOUT = 20.0
REPORT_TIMEOUT = 60.0
SOCKET_PATH_LIMIT = 100
MAX_DEADLINE = 1.0
"""Seconds, 25 periods of the arm's control: who waits longer holds up the loop, not the policy."""

NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "duration": (lambda s: 0 < s < math.inf, "seconds above 0"),
    "deadline": (lambda s: 0 < s <= MAX_DEADLINE, f"seconds above 0, at most {MAX_DEADLINE:g}"),
    "stall": (lambda s: 0 <= s < math.inf, "seconds of at least 0"),
    "seed": (lambda n: n >= 0, "a whole number of at least 0"),
}
"""Option -> what it takes, and that in words."""

FACTS = "import json; from isthmus.record import interpreter_facts as f; print(json.dumps(f()))"


class DemoError(Exception):
    """Something that ends the demo; the message is for its user."""


def main() -> int:
    """Run the demo."""
    args = parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="isthmus-", dir=short_folder()) as folder:
            ended = Demo(args, Path(folder)).run()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    counted = [e for e in ended["meta"]["episodes"] if not overlaps(e, ended["stalled_ns"])]
    print_table(ended, counted)
    reached = sum(e["success"] for e in counted)
    return 0 if counted and reached >= ENOUGH * len(counted) else 1


def interrupt(number: int, frame: object) -> None:
    """Make the first Ctrl-C or SIGTERM an exception, and ignore those that follow."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def overlaps(episode: dict[str, Any], window_ns: tuple[int, int] | None) -> bool:
    """Whether the gateway was stopped during an episode."""
    if window_ns is None:
        return False
    return bool(episode["started_ns"] < window_ns[1] and episode["ended_ns"] > window_ns[0])


class Demo:
    """Both sides, from their start to their end.

    Args:
        args: the command line.
        folder: a private folder, for the socket.
    """

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self._args = args
        self._folder = folder
        self._children: list[Child] = []
        self._run = ""
        self._stall: Stall | None = None

    def run(self) -> dict[str, Any]:
        """Start, watch, stop. Returns what the simulator said at its end.

        Raises:
            DemoError: a side failed.
        """
        try:
            peer = self._peer_facts()
            gateway, url = self._start_gateway()
            sim, status = self._start_sim(url, peer)
            ended = self._watch(gateway, sim, status)
            if gateway.stop() != 0:
                raise DemoError(f"told to end, {gateway.epitaph()}")
            self._report()
            return ended
        except (DemoError, KeyboardInterrupt):
            self._wind_down()
            raise
        finally:
            for child in reversed(self._children):
                child.stop()

    def _peer_facts(self) -> Path:
        """Ask the policy's Python what it is, before anything is started in it."""
        python = self._args.policy_python
        try:
            done = subprocess.run(
                [python, "-c", FACTS],
                capture_output=True,
                text=True,
                env=clean_environ(os.environ),
                timeout=READY_TIMEOUT,
            )
        except subprocess.TimeoutExpired as exc:
            raise DemoError(f"{python} did not say what it is in {READY_TIMEOUT:g} s") from exc
        if done.returncode:
            raise DemoError(f"{python} cannot run isthmus:\n{done.stderr}")
        path = self._folder / "peer.json"
        facts = {"policy_side": json.loads(done.stdout), "stall_seconds": self._args.stall}
        path.write_text(json.dumps(facts), encoding="utf-8")
        return path

    def _start_gateway(self) -> tuple[Child, str]:
        listen = {
            "shm": f"shm:{self._folder / 'gateway.sock'}",
            "unix": f"unix:{self._folder / 'gateway.sock'}",
            "tcp": "tcp://127.0.0.1:0",
        }[self._args.transport]
        command = [self._args.policy_python, "-m", "isthmus", "serve", self._args.policy]
        gateway = Child(
            "the gateway",
            [*command, "--listen", listen],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._children.append(gateway)
        assert gateway.process.stdout is not None
        self._said = Lines(gateway.process.stdout)
        url, until = "", time.monotonic() + READY_TIMEOUT
        while not self._said.ended:
            self._listen(gateway, [], max(0.0, until - time.monotonic()))
            for line in self._said.read():
                word, _, rest = line.partition(" ")
                if word == "listening":
                    url = rest
                elif word == "ready" and url:
                    return gateway, url
            if time.monotonic() >= until:
                raise DemoError(f"no `ready` within {READY_TIMEOUT:g} s: {gateway.epitaph()}")
        gateway.stop()
        raise DemoError(f"before it was ready, {gateway.epitaph()}")

    def _listen(self, gateway: Child, others: list[Lines], timeout: float) -> None:
        """Wait for anybody to say something, and keep the gateway's last words."""
        sources = [each for each in (self._said, gateway.words, *others) if each and not each.ended]
        select.select(sources, [], [], timeout)
        gateway.hear()

    def _start_sim(self, url: str, peer: Path) -> tuple[Child, Lines]:
        args = self._args
        ours, theirs = os.pipe()
        options = {
            "--duration": args.duration,
            "--deadline": args.deadline,
            "--seed": args.seed,
            "--runs": args.runs,
            "--peer": peer,
            "--status-fd": theirs,
        }
        words = [str(word) for pair in options.items() for word in pair]
        if args.transport != "shm":
            words.append("--no-upgrade")  # measure what was asked for
        command = [args.sim_python, str(HERE / "sim.py"), url, *words]
        sim = Child("the simulator", command, pass_fds=[theirs])
        os.close(theirs)
        self._children.append(sim)
        return sim, Lines(ours)

    def _watch(self, gateway: Child, sim: Child, status: Lines) -> dict[str, Any]:
        """Until the simulator's side ends, or the gateway does before it."""
        ended: dict[str, Any] | None = None
        stall = self._stall = Stall(gateway, self._args.stall)
        while not status.ended:
            self._listen(gateway, [status], stall.wait())
            self._said.read()  # nothing more is expected, but a full pipe would stop it
            for line in status.read():
                event = json.loads(line)
                if event["event"] == "running":
                    self._run = event["run"]
                    stall.plan(self._args.duration / 2)
                else:
                    ended = event
            if gateway.status is not None and ended is None:
                raise DemoError(f"in the middle of the run, {gateway.epitaph()}")
            stall.act()
        os.close(status.fd)
        if sim.process.wait() or ended is None:
            raise DemoError(f"{sim.epitaph()}; what it said is above")
        return {**ended, "stalled_ns": stall.window_ns()}

    def _wind_down(self) -> None:
        """Let the simulator save what it has, and say where."""
        for child in self._children[1:2]:
            child.signal(signal.SIGINT)
            try:
                child.process.wait(SAVE_TIMEOUT)
            except subprocess.TimeoutExpired:
                print(f"demo: {child.name} did not save its run", file=sys.stderr)
        if self._run:
            self._report()
            print(f"demo: what was recorded is in {self._run}", file=sys.stderr)

    def _report(self) -> None:
        """Draw the run, in the simulator's Python, which knows the arm."""
        window_ns = self._stall.window_ns() if self._stall else None
        if window_ns is not None:
            add_to_meta(Path(self._run), {"stalled_ns": window_ns})
        command = [self._args.sim_python, str(HERE / "report.py"), self._run]
        report = Child("the report", command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._children.append(report)
        with contextlib.suppress(subprocess.TimeoutExpired):
            report.process.wait(REPORT_TIMEOUT)
        if report.stop() != 0:
            print(f"demo: no report.html: {report.epitaph()}", file=sys.stderr)


def add_to_meta(run: Path, facts: dict[str, Any]) -> None:
    """Add to a run's `meta.json` what only this program knows; a reader sees all or nothing."""
    path = run / "meta.json"
    meta = {**json.loads(path.read_text(encoding="utf-8")), **facts}
    new = path.with_suffix(".json.tmp")
    new.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    os.replace(new, path)


class Stall:
    """Stops the gateway in the middle of a run, for as long as asked, and lets it go on."""

    def __init__(self, gateway: Child, seconds: float) -> None:
        self._gateway = gateway
        self._seconds = seconds
        self._next: list[tuple[float, int]] = []
        self._done_ns: list[int] = []

    def plan(self, delay: float) -> None:
        """Fix the two moments, counted from now."""
        if self._seconds > 0:
            start = time.monotonic() + delay
            self._next = [(start, signal.SIGSTOP), (start + self._seconds, signal.SIGCONT)]

    def wait(self) -> float:
        """Seconds until something is to be done; at most one, to notice a dead gateway."""
        return min(1.0, max(0.0, self._next[0][0] - time.monotonic())) if self._next else 1.0

    def act(self) -> None:
        """Do what is due."""
        while self._next and time.monotonic() >= self._next[0][0]:
            self._gateway.signal(self._next.pop(0)[1])
            self._done_ns.append(time.time_ns())

    def window_ns(self) -> tuple[int, int] | None:
        """From when to when it was stopped, ns since the Unix epoch; None if never."""
        if not self._done_ns:
            return None
        return self._done_ns[0], self._done_ns[1] if len(self._done_ns) > 1 else time.time_ns()


def short_folder() -> str | None:
    """Where the socket's folder goes: a socket's path holds about 100 bytes."""
    usual = tempfile.gettempdir()
    return None if len(os.fsencode(usual)) + 40 < SOCKET_PATH_LIMIT else "/tmp"


def parse() -> argparse.Namespace:
    """Read the command line, and check what can be checked before anything starts."""
    parser = argparse.ArgumentParser(description="An arm in one Python, its policy in another.")
    add = parser.add_argument
    # `make demo` fills these two in; a user of ARGS has no need of them.
    add("--sim-python", required=True, metavar="PATH", help=argparse.SUPPRESS)
    add("--policy-python", required=True, metavar="PATH", help=argparse.SUPPRESS)
    add("--duration", type=float, default=20.0, metavar="S",
        help="seconds, in whole episodes; default 20")  # fmt: skip
    add("--transport", choices=("shm", "unix", "tcp"), default="shm", help="default shm")
    add("--deadline", type=float, default=0.032, metavar="S",
        help=f"seconds per action, at most {MAX_DEADLINE:g}; default 0.032")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N",
        help="the first episode's; the others count up from it")  # fmt: skip
    add("--runs", default="runs", metavar="FOLDER", help="where the run is saved; default runs")
    add("--policy", default="policies/reach.onnx", metavar="MODEL", help="the model to serve")
    add("--stall", type=float, default=0.0, metavar="S", help="stop the gateway S s, half-way")
    args = parser.parse_args()
    for name in ("sim_python", "policy_python"):
        path = getattr(args, name)
        if shutil.which(path) is None:
            parser.error(f"--{name.replace('_', '-')}: no such program: {path}")
    if not Path(args.policy).exists():
        parser.error(f"--policy: no such file: {args.policy}")
    for name, (fits, wanted) in NUMBERS.items():
        if not fits(getattr(args, name)):
            parser.error(f"--{name}: expected {wanted}, got {getattr(args, name)}")
    return args


if __name__ == "__main__":
    sys.exit(main())
