"""`isthmus serve MODEL`: answer simulators and robots with a policy."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Sequence

from isthmus.errors import TransportError
from isthmus.gateway import Engine, Settings
from isthmus.guard import DEFAULT_FORBIDDEN, VARIABLE, install_wanted
from isthmus.transport.sockets import Listener, listen

from . import serve_flags
from .arguments import find_code_here
from .serve_listeners import add_upgrade_listener, allow_descriptors, wanted_addresses
from .serve_policies import Models, models_of
from .serving import Surroundings
from .stopping import Stopped, Stopping, leave_behind

SWITCH_INTERVAL = 1e-4
"""Seconds; beside another thread, how long the engine may have to wait for the interpreter."""

EPILOG = """\
It serves until SIGINT, SIGTERM or SIGHUP. A socket that a dead gateway left is taken over; its
folder, if only that is missing, is made for this user alone.

exit status: 0 after one of those signals; 1 if the policy did not return in time to end in order;
2 if a model, contract or address cannot be used, and one line says why.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus serve`."""
    parser.epilog = EPILOG
    serve_flags.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; then say goodbye and return 0."""
    before = threading.enumerate()
    status = _run(args)
    leave_behind(status, before)
    return status


def _run(args: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    serve_flags.check(args)
    addresses = wanted_addresses(args)
    find_code_here(models_of(args))
    allow_descriptors(args.max_sessions)
    install_wanted(os.environ, DEFAULT_FORBIDDEN, by=f"isthmus serve (set {VARIABLE} to change it)")
    sys.setswitchinterval(SWITCH_INTERVAL)
    models = Models(args)
    listeners: list[Listener] = []
    try:
        with Surroundings(args) as surroundings:
            policies = surroundings.load(models)
            stopping = Stopping(listeners, surroundings.close_logs)
            stopping.hold()
            for address in addresses:
                listeners.append(listen(address))
            shown = list(listeners)
            upgrade_at = add_upgrade_listener(listeners)
            stopping.let_go()
            engine = surroundings.engine(policies, listeners, settings_of(args, models), upgrade_at)
            stopping.engine = engine
            _serve(engine, surroundings, [listener.address.url for listener in shown])
            stopping.engine_ended()
    except Stopped:
        return 0
    finally:
        for listener in listeners:  # also those that an engine has closed, which changes nothing
            listener.close()
    return 0


def settings_of(args: argparse.Namespace, models: Models) -> Settings:
    """How the engine behaves."""
    return Settings(
        executor=args.executor,
        deterministic=args.deterministic,
        deadline_ns=int(args.deadline_ms * 1e6),
        max_sessions=args.max_sessions,
        max_rows=args.max_rows,
        action_scale=args.action_scale,
        joints=None if models.spec is None else models.spec.size,
        joints_cooldown_ns=int(args.joint_spec_mismatch_cooldown * 1e9),
    )


def _serve(engine: Engine, surroundings: Surroundings, listening: Sequence[str]) -> None:
    surroundings.begin(engine, listening)
    for name, policy in engine.policies.items():
        _say(
            f"policy {name} ({policy.kind}) executor {engine.executors[name]} "
            f"interface {policy.contract.interface_hash}"
        )
    for line in surroundings.words():
        _say(line)
    for url in listening:
        _say(f"listening {url}")
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
