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
        "directory stays. exit status: 0, also if nothing is up."
    )
    add_manifest(parser)
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list of all that is known"
    )


def run(args: argparse.Namespace) -> int:
    """Show the runs."""
    from isthmus.supervisor.registry import DIED, forget, known_runs, strays

    runs = known_runs(up_folder(args))
    if args.json:
        facts = [{**known.record, "state": known.state} for known in runs]
        print(json.dumps(facts, indent=1))
    elif not runs:
        print("nothing is up", file=sys.stderr)
    else:
        print("\n\n".join(described(known, time.time_ns()) for known in runs))
    for known in runs:
        left = strays(known.run_id) if known.state == DIED else {}
        if left:
            text = f"{len(left)} of its processes are left; end them: isthmus down {known.run_id}"
            print(f"{known.run_id}: {text}", file=sys.stderr)
        elif known.state == DIED:
            forget(known)
    return 0


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add `--manifest`, which says whose runs are meant."""
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE",
        help="default: isthmus.toml here or in a folder above",
    )  # fmt: skip


def up_folder(args: argparse.Namespace) -> Path:
    """Say where the records of this project's runs are."""
    from isthmus.runtimes.manifest import find_manifest
    from isthmus.runtimes.state import StateFolder

    manifest: Path = args.manifest or find_manifest(Path.cwd())
    return StateFolder.beside(manifest.absolute().parent).up


def described(known: Known, now_ns: int) -> str:
    """Describe one run: a line about it, and a table of its processes."""
    record = known.record
    name = f"  {record['run']}" if record.get("run") else ""
    head = f"{known.run_id}{name}  {known.state}  {record['folder']}"
    alive = known.state != "died"
    rows: list[tuple[str, ...]] = [HEADINGS]
    rows += [_row(each, facts, now_ns, alive) for each, facts in record["processes"].items()]
    return "\n".join([head, *_table(rows)])


def _row(name: str, facts: Mapping[str, Any], now_ns: int, alive: bool) -> tuple[str, ...]:
    from isthmus.supervisor.words import duration

    running = alive and facts["pid"] is not None
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
