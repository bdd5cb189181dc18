"""`isthmus serve MODEL`: answer simulators and robots with a policy."""

from __future__ import annotations

import argparse
import logging
import math
import os
import resource
import secrets
import sys
from collections.abc import Iterable, Sequence

from isthmus.errors import AddressError, Error, PolicyLoadError, TransportError
from isthmus.gateway import Engine, Settings
from isthmus.guard import DEFAULT_FORBIDDEN, VARIABLE, install_wanted
from isthmus.policy import load
from isthmus.policy.base import Policy
from isthmus.policy.contract_file import read_contract
from isthmus.transport import Address, parse
from isthmus.transport.address import suggestion
from isthmus.transport.sockets import Listener, listen

from .arguments import check_bounds, find_code_here
from .stopping import Stopped, Stopping

DEFAULT_LISTEN = "unix:isthmus.sock"
SWITCH_INTERVAL = 1e-4
"""Seconds; with a worker thread, how long the engine may have to wait for the interpreter."""

LISTENABLE = ("shm", "unix", "tcp")

BOUNDS: dict[str, tuple[float, float]] = {
    "threads": (1, math.inf),
    "max-sessions": (1, math.inf),
    "max-rows": (1, math.inf),
    "deadline-ms": (0, 3_600_000),
}

DESCRIPTORS_PER_SESSION = 5
"""Of a session over shared memory: a socket, the memory twice (mmap keeps its own), two bells."""
OTHER_DESCRIPTORS = 512
"""For newcomers, listeners, models and the interpreter."""


EPILOG = """\
It serves until SIGINT, SIGTERM or SIGHUP. A socket that a dead gateway left is taken over; its
folder, if only that is missing, is made for this user alone.

exit status: 0 after one of those signals; 1 if the policy did not return in time to end in order;
2 if a model, contract or address cannot be used, and one line says why.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus serve`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "model", nargs="+", metavar="MODEL",
        help="a model file with its manifest, constant[:VALUE], pkg.mod:factory, or the URL of "
        "another gateway",
    )  # fmt: skip
    add(
        "--listen", action="append", metavar="URL",
        help=f"where to listen, any number of times; default {DEFAULT_LISTEN}",
    )  # fmt: skip
    add("--contract", metavar="FILE", help="the contract, for models that bring none")
    add(
        "--providers", metavar="LIST", default="CPUExecutionProvider",
        help="ONNX Runtime providers in order of preference, with commas between",
    )  # fmt: skip
    add(
        "--threads", type=int, default=1, metavar="N",
        help="threads one inference may use; default 1",
    )  # fmt: skip
    add(
        "--executor", choices=("auto", "inline", "thread"), default="auto",
        help="who runs the policy; auto decides by its measured speed",
    )  # fmt: skip
    add(
        "--deterministic", action="store_true",
        help="one session per inference, so that last bits do not depend on who else asks",
    )  # fmt: skip
    add(
        "--deadline-ms", type=float, default=0.0, metavar="MS",
        help="budget of clients that name none; default 0.8 x control_dt",
    )  # fmt: skip
    add(
        "--max-sessions", type=int, default=256, metavar="N",
        help="connections beyond this are refused; default 256",
    )  # fmt: skip
    add(
        "--max-rows", type=int, default=16384, metavar="N",
        help="environments of all sessions together, beyond which one is refused; default 16384",
    )  # fmt: skip
    add("--verbose", action="store_true", help="log sessions and decisions to standard error")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; then say goodbye and return 0."""
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    check_bounds(args, BOUNDS)
    addresses = [_address(url) for url in args.listen or [DEFAULT_LISTEN]]
    find_code_here(args.model)
    _allow_descriptors(args.max_sessions)
    install_wanted(os.environ, DEFAULT_FORBIDDEN, by=f"isthmus serve (set {VARIABLE} to change it)")
    policies = _load(args)
    listeners: list[Listener] = []
    try:
        stopping = Stopping(listeners)
        stopping.hold()
        for address in addresses:
            listeners.append(listen(address))
        shown = list(listeners)
        upgrade_at = _add_upgrade_listener(listeners)
        stopping.let_go()
        settings = Settings(
            executor=args.executor,
            deterministic=args.deterministic,
            deadline_ns=int(args.deadline_ms * 1e6),
            max_sessions=args.max_sessions,
            max_rows=args.max_rows,
        )
        stopping.engine = engine = Engine(policies, listeners, settings, upgrade_at=upgrade_at)
        if any(executor == "thread" for executor in engine.executors.values()):
            sys.setswitchinterval(SWITCH_INTERVAL)
        _serve(engine, policies.values(), shown)
    except Stopped:
        return 0
    finally:
        for listener in listeners:  # also those that an engine has closed, which changes nothing
            listener.close()
        for policy in policies.values():
            policy.close()
    return 0


def _serve(engine: Engine, policies: Iterable[Policy], shown: Sequence[Listener]) -> None:
    for policy in policies:
        _say(
            f"policy {policy.name} ({policy.kind}) executor {engine.executors[policy.name]} "
            f"interface {policy.contract.interface_hash}"
        )
    for listener in shown:
        _say(f"listening {listener.address.url}")
    _say("ready")
    engine.run()
    done = engine.counters
    counts = (
        (done.sessions, "session", ""), (done.answered, "action", ""),
        (done.misses, "miss", "es"), (done.errors, "error", ""),
    )  # fmt: skip
    _say(f"closed: {', '.join(_counted(*count) for count in counts)}")


def _counted(number: int, word: str, ending: str) -> str:
    """`1 miss`, `2 misses`."""
    return f"{number} {word}{'' if number == 1 else ending or 's'}"


def _address(url: str) -> Address:
    """Read `--listen URL`; what can be connected to only is refused before a model is loaded."""
    if url.partition(":")[0] not in LISTENABLE:
        raise AddressError(
            f"--listen {url}: expected shm:PATH, unix:PATH or tcp://HOST:PORT{suggestion(url)}"
        )
    return parse(url)


def _allow_descriptors(max_sessions: int) -> None:
    """As many open files as the sessions need, where the system's limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_sessions * DESCRIPTORS_PER_SESSION + OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(line: str) -> None:
    """Tell whoever listens; a gateway serves on when nobody does.

    Raises:
        TransportError: somebody listens and cannot be told.
    """
    try:
        print(line, flush=True)
    except OSError as exc:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # else Python tries again at its exit
        os.close(nowhere)
        if not isinstance(exc, BrokenPipeError):
            raise TransportError(f"cannot write to standard output: {exc.strerror}") from exc


def _load(args: argparse.Namespace) -> dict[str, Policy]:
    contract = read_contract(args.contract) if args.contract else None
    providers = tuple(word for word in args.providers.split(",") if word)
    policies: dict[str, Policy] = {}
    try:
        for target in args.model:
            policy = load(target, contract=contract, providers=providers, threads=args.threads)
            if policy.name in policies:
                policy.close()
                raise PolicyLoadError(f"two models are called {policy.name!r}; rename one")
            policies[policy.name] = policy
    except Error:
        for policy in policies.values():
            policy.close()
        raise
    return policies


def _add_upgrade_listener(listeners: list[Listener]) -> str:
    """A way to shared memory for tcp links on this host: a socket that has no file."""
    if all(listener.address.scheme != "tcp" for listener in listeners):
        return ""
    name = f"isthmus-{os.getpid()}-{secrets.token_hex(8)}"
    listeners.append(listen(Address("unix", path="\0" + name)))
    return "@" + name
