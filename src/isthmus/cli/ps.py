"""`isthmus ps`: the runs of this project that are up, and their processes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.supervisor.registry import Known

HEADINGS = ("NAME", "STATE", "PID", "UP", "RESTARTS", "ENDED")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus ps`."""
    parser.epilog = (
        "A run whose supervisor was killed is shown once as `died`, and then forgotten; its "
        "directory stays.\n\nexit status: 0, also if nothing is up."
    )
    add_manifest(parser)
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list of all that is known"
    )


def run(args: argparse.Namespace) -> int:
    """Show the runs."""
    from isthmus.supervisor.registry import known_runs, sweep

    folder = up_folder(args)
    runs = known_runs(folder, warn)
    if args.json:
        facts = [{**known.record, "state": known.state} for known in runs]
        print(json.dumps(facts, indent=1))
    elif not runs:
        print("nothing is up", file=sys.stderr)
    else:
        print("\n\n".join(described(known, time.time_ns()) for known in runs))
    for known in runs:
        _forget_if_dead(known)
    sweep(folder)
    return 0


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add `--manifest`, which says whose runs are meant."""
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE",
        help="default: isthmus.toml here or in a folder above",
    )  # fmt: skip


def up_folder(args: argparse.Namespace) -> Path:
    """Say where the records of this project's runs are; who only looks makes no folder."""
    from isthmus.runtimes.state import StateFolder

    return StateFolder.beside(manifest_of(args).absolute().parent).root / "up"


def manifest_of(args: argparse.Namespace) -> Path:
    """Say which manifest is meant.

    Raises:
        ManifestError: there is none.
    """
    from isthmus.runtimes.manifest import find_manifest

    found: Path = args.manifest or find_manifest(Path.cwd())
    return found


def warn(line: str) -> None:
    """Tell the user."""
    print(f"isthmus: {line}", file=sys.stderr, flush=True)


def described(known: Known, now_ns: int) -> str:
    """Describe one run: a line about it, and a table of its processes."""
    record = known.record
    name = f"  {record['run']}" if record.get("run") else ""
    state = f"{known.state}, of user {known.owner}" if known.owner else known.state
    head = f"{known.run_id}{name}  {state}  {record['folder']}"
    alive = known.state != "died"
    rows: list[tuple[str, ...]] = [HEADINGS]
    rows += [_row(each, facts, now_ns, alive) for each, facts in record["processes"].items()]
    return "\n".join([head, *_table(rows)])


def _forget_if_dead(known: Known) -> None:
    from isthmus.errors import SupervisionError
    from isthmus.supervisor.registry import DIED, forget, strays

    if known.state != DIED or known.owner:
        return
    left = strays(known.run_id)
    if left:
        text = f"{len(left)} of its processes are left; end them: isthmus down {known.run_id}"
        print(f"{known.run_id}: {text}", file=sys.stderr)
        return
    try:
        forget(known)
    except SupervisionError as error:
        warn(str(error))


def _row(name: str, facts: Mapping[str, Any], now_ns: int, alive: bool) -> tuple[str, ...]:
    from isthmus.supervisor.words import duration

    running = alive and None not in (facts["pid"], facts["started_ns"])
    up = duration(max(now_ns - facts["started_ns"], 0) / 1e9) if running else "-"
    how = (facts["how"] or "").split("\n")[0]
    return (
        name,
        facts["state"] if alive or facts["pid"] is None else "died",
        str(facts["pid"]) if running else "-",
        up,
        str(facts["restarts"]),
        how or "-",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
