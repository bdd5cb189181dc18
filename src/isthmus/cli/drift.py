"""Explain a log of randomization hash mismatches: which parameter drifts, since when, and where.

Reads hash_mismatch_events.jsonl, the files rotated beside it, compressed or not, and the logs of
older gateways, which know only hashes. Times are UTC, by the clock of the gateway that wrote them.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

from isthmus.errors import Error
from isthmus.record.drift import COLUMNS, DriftReport, analyse, describe, plot, read_log, rows
from isthmus.record.drift.log import NAME

from .arguments import check_bounds, check_writable

EXIT_NOTHING = 2

BOUNDS: dict[str, tuple[float, float]] = {"cluster-gap": (1e-6, math.inf), "top": (1, math.inf)}

EPILOG = """\
exit status: 0 if the log was read, whether or not it holds a mismatch; 2 if there is no such log,
nothing in it is one, or a result could not be written. What was left out of a log is said.

score of a cluster: size x (1 - median gap / cluster gap): its mismatches, weighted by how closely
they follow each other. 0 for a single one, nearly the size for a dense burst.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus drift`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("log", nargs="?", metavar="LOG", help=f"the log, or its folder; default logs/{NAME}")
    add("--file", metavar="LOG", help="the same, as the first tool had it")
    add("--cluster-gap", type=float, default=30.0, metavar="S",
        help="seconds without a mismatch that part two clusters; default 30")  # fmt: skip
    add("--top", type=int, default=10, metavar="N",
        help="rows of each table, and transitions in --json and --csv; default 10")  # fmt: skip
    add("--csv", metavar="FILE", help="write every table here, as rows of one; - prints it")
    add("--json", metavar="FILE", help="write the whole report here; - prints it")
    add("--plot", metavar="FILE", help="draw it here, as SVG; - prints it")
    add("--quiet", action="store_true", help="print nothing beyond what was asked for with -")


def run(args: argparse.Namespace) -> int:
    """Read the log, write what was asked for, and print the report."""
    check_bounds(args, BOUNDS)
    for option in WRITERS:
        if getattr(args, option) != "-":
            check_writable(option, getattr(args, option))
    if args.log is not None and args.file is not None:
        raise Error("expected one log, got LOG and --file; leave one out")
    log = args.log or args.file or f"logs/{NAME}"
    report = analyse(read_log(log), cluster_gap=args.cluster_gap)
    for note in report.log.notes:
        print(f"isthmus: {note}", file=sys.stderr)
    for option, write in WRITERS.items():
        path = getattr(args, option)
        if path is not None:
            _put(option, path, write(report, args.top))
    printed = "-" in (args.csv, args.json, args.plot)
    if not args.quiet and not printed:
        print(*describe(report, args.top), sep="\n")
    if report.log.lines and not report.total and not report.log.own:
        print(f"isthmus: {log}: no line is a hash mismatch; is it another log?",
            file=sys.stderr)  # fmt: skip
        return EXIT_NOTHING
    return 0


def _put(option: str, path: str, content: str) -> None:
    if path == "-":
        print(content, end="")
        return
    try:
        Path(path).write_text(content, encoding="utf-8", newline="")
    except OSError as exc:
        raise Error(f"--{option}: {path} cannot be written: {exc.strerror or exc}") from exc


def _csv(report: DriftReport, top: int) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(report, top))
    return out.getvalue()


def _json(report: DriftReport, top: int) -> str:
    return json.dumps(report.to_dict(top), indent=2) + "\n"


def _plot(report: DriftReport, top: int) -> str:
    return plot(report) + "\n"


WRITERS: dict[str, Callable[[DriftReport, int], str]] = {"csv": _csv, "json": _json, "plot": _plot}
"""Option -> what it makes of the report."""
