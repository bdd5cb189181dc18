"""`isthmus down [RUN_ID]`: end a run that is up, in order, and wait until nothing of it is left."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.errors import SupervisionError

from .ps import add_manifest, up_folder

if TYPE_CHECKING:
    from isthmus.supervisor.registry import Known

MARGIN = 5.0
"""Seconds beyond what the processes' own `stop_timeout` add up to."""


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
    from isthmus.supervisor.registry import end, known_runs

    runs = known_runs(up_folder(args))
    if not runs and args.run_id is None:
        print("nothing is up", file=sys.stderr)
        return 0
    for known in runs if args.all else [chosen(runs, args.run_id)]:
        timeout = args.timeout
        if timeout is None:
            timeout = float(known.record.get("stop_seconds", 0.0)) + MARGIN
        end(known, timeout, _say)
        print(f"{known.run_id} is down; its directory: {known.record['folder']}")
    return 0


def chosen(runs: Sequence[Known], wanted: str | None) -> Known:
    """Choose one run by its id, the start of it, or its name.

    Raises:
        SupervisionError: none or several fit.
    """
    found = [
        each
        for each in runs
        if wanted is None or each.run_id.startswith(wanted) or each.record.get("run") == wanted
    ]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(each.run_id for each in found or runs) or "nothing"
    if found:
        raise SupervisionError(f"several runs are up: {ids}; name one, or say --all")
    raise SupervisionError(f"no run {wanted!r} is up; up: {ids}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds of at least 0, got {text!r}")
    return seconds


def _say(line: str) -> None:
    print(f"isthmus: {line}", file=sys.stderr, flush=True)
