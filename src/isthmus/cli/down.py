"""`isthmus down [RUN_ID]`: end a run that is up, in order, and wait until nothing of it is left."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.errors import SupervisionError

from .ps import add_manifest, up_folder, warn

if TYPE_CHECKING:
    from isthmus.supervisor.registry import Known

MARGIN = 5.0
"""Seconds beyond what the processes' own `stop_timeout` add up to."""


EXIT_LEFT = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus down`."""
    parser.epilog = "exit status: 0 if nothing of it is left; 2 otherwise."
    add_manifest(parser)
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID",
        help="or its first letters, or the run's name; needed if several runs are up",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="end every run of this project")
    parser.add_argument(
        "--timeout", type=_seconds, metavar="S",
        help="seconds to stop in order, before everything is killed; default: what the "
        "processes' stop_timeout add up to",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """End what was asked for."""
    from isthmus.supervisor.registry import known_runs, sweep

    folder = up_folder(args)
    runs = known_runs(folder, warn)
    sweep(folder)
    if not runs and args.run_id is None:
        print("nothing is up", file=sys.stderr)
        return 0
    wanted = runs if args.all else [chosen(runs, args.run_id)]
    return max([_ended(known, args.timeout) for known in wanted])


def chosen(runs: Sequence[Known], wanted: str | None) -> Known:
    """Choose one run by its id, the start of it, or its name; the only one that lives, first.

    Raises:
        SupervisionError: none or several fit.
    """
    found = [
        each
        for each in runs
        if wanted is None or each.run_id.startswith(wanted) or each.record.get("run") == wanted
    ]
    alive = [each for each in found if each.state != "died" and not each.owner]
    for choice in (alive, found):
        if len(choice) == 1:
            return choice[0]
    ids = ", ".join(map(_named, found or runs)) or "nothing"
    if found:
        raise SupervisionError(f"several runs are up: {ids}; name one, or say --all")
    raise SupervisionError(f"no run {wanted!r} is up; up: {ids}")


def _ended(known: Known, timeout: float | None) -> int:
    """End one; the exit status. One that cannot be ended does not save the others."""
    from isthmus.supervisor.registry import end

    if timeout is None:
        timeout = float(known.record.get("stop_seconds") or 0.0) + MARGIN
    try:
        end(known, timeout, warn)
    except SupervisionError as error:
        warn(str(error))
        return EXIT_LEFT
    print(f"{known.run_id} is down; its directory: {known.record['folder']}")
    return 0


def _named(known: Known) -> str:
    remarks = [known.state] if known.state == "died" else []
    remarks += [f"of user {known.owner}"] if known.owner else []
    return f"{known.run_id} ({', '.join(remarks)})" if remarks else known.run_id


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds of at least 0, got {text!r}")
    return seconds
