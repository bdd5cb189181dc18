"""The runner: which rows, how long, where the results go."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .contracts import write_contracts
from .environments import compile_floor, find_or_build
from .machine import CpuTime, commit, fingerprint, today
from .measure import measure
from .rows import ROWS, Row
from .subjects import NO_COMPILER, Setting
from .tables import row_text

PLACEMENTS = ("split", "same", "free")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The status says whether everything ran, never whether it was quick."""
    args = _parser().parse_args(arguments)
    interpreters = find_or_build(say, args.sim_python, args.policy_python)
    results: list[dict[str, Any]] = []
    kept = _kept(args.json) if args.again else {}
    facts = {"machine": fingerprint(interpreters), "full": args.full, "date": today()}
    if facts["machine"]["busy"]:
        say(f"the load average is {facts['machine']['load_average']:.1f}: expect larger figures")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        write_contracts(Path(folder))
        setting = Setting(interpreters, compile_floor(say), Path(folder))
        for placement in args.placement or (("split", "same") if args.full else ("split",)):
            for row in _chosen(args.only):
                results += _measure_row(row, placement, setting, args.full, results)
                _save(args.json, _joined(kept, {**facts, "rows": results}))
    failed = [r["name"] for r in results if _failures(r)]
    for name in failed:
        say(f"{name}: something did not run; see above")
    return 1 if failed else 0


def _kept(path: Path | None) -> dict[str, Any]:
    """Results of before, to be completed or corrected."""
    if path is None or not path.exists():
        return {}
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _joined(kept: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was kept, with the rows measured now in the place of the same rows."""
    rows = {(row["name"], row["placement"]): row for row in kept.get("rows", [])}
    rows.update({(row["name"], row["placement"]): row for row in found["rows"]})
    return {**found, **kept, "rows": list(rows.values())}


def say(line: str) -> None:
    """Tell the person at the terminal."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _measure_row(
    row: Row, placement: str, setting: Setting, full: bool, done: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if not row.placed:
        if any(result["name"] == row.name for result in done):
            return []
        placement = "free"
    rounds, seconds = row.full if full else row.quick
    before = CpuTime.now()
    measured = measure(row, _placed(setting, placement), rounds, seconds)
    result = {
        "name": row.name,
        "title": row.title,
        "payload": row.payload,
        "hz": row.hz,
        "unit": row.unit,
        "placement": placement,
        "bursts": rounds,
        "burst_seconds": seconds,
        "commit": commit(),
        **before.disturbance(),
        **measured,
    }
    print(row_text(row, result), flush=True)
    return [result]


def _placed(setting: Setting, placement: str) -> Setting:
    """The CPUs of a placement: one each, one for both sides, or whatever the scheduler likes."""
    cpus = sorted(os.sched_getaffinity(0))
    ask, answer = {
        "same": (cpus[-1], cpus[-1]),
        "split": (cpus[-1], cpus[0]),
        "free": (-1, -1),
    }[placement]
    return replace(setting, ask_cpu=ask, answer_cpu=answer)


def _failures(result: dict[str, Any]) -> list[str]:
    reasons = [figures.get("left_out", "") for figures in result["subjects"].values()]
    return [reason for reason in reasons if reason and reason != NO_COMPILER]


def _chosen(names: list[str] | None) -> list[Row]:
    return [row for row in ROWS if not names or row.name in names]


def _save(path: Path | None, data: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(data), indent=1) + "\n", encoding="utf-8")


def _rounded(data: Any) -> Any:
    """The same with three decimals: what is below a nanosecond was not measured."""
    if isinstance(data, float):
        return round(data, 3)
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(each) for each in data] if isinstance(data, list) else data


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="about 2 minutes (the default)")
    length.add_argument("--full", action="store_true", help="about 12 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    parser.add_argument(
        "--again",
        action="store_true",
        help="keep the other rows of that file: for rows that something disturbed",
    )
    parser.add_argument(
        "--only", action="append", choices=[row.name for row in ROWS], help="a row; may be repeated"
    )
    parser.add_argument(
        "--placement",
        action="append",
        choices=PLACEMENTS,
        help="a CPU for each side, the same for both, or free; may be repeated; default split, "
        "and same with --full",
    )
    parser.add_argument("--sim-python", type=Path, metavar="PYTHON", help="use this interpreter")
    parser.add_argument("--policy-python", type=Path, metavar="PYTHON", help="and this one")
    return parser
