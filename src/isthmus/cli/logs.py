"""`isthmus logs`: what a gateway wrote down, as lines to read; every event of one question.

Reads a log with all its older files, in order, also while it is being written and rotated.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isthmus.events.reader import Damage, LogLine, LogReader
    from isthmus.events.selecting import Selection

EXIT_MISSING = 1
LOOK_AGAIN = 0.1
"""Seconds between two looks at a log that is followed."""
LAST = 10
"""Events shown of the past when a log is followed and no `--since` is given."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus logs`."""
    parser.epilog = (
        "Times are UTC. A time is so long ago (90s, 10m, 2h, 1d) or a date and time\n"
        "(2026-11-23T04:05:42Z).\n\n"
        "exit status: 0, also if no event fits, which is said; with --gaps 1 if events\n"
        "are missing or damaged."
    )
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="FOLDER|FILE",
        help="a log's folder, a run's folder, or one file; default: logs, or the newest run",
    )  # fmt: skip
    parser.add_argument("--corr", default="", metavar="ID", help="only this question and answer")
    parser.add_argument("--session", default="", metavar="NAME", help="only this session")
    parser.add_argument("--type", default="", metavar="KIND", help="only this kind of event")
    parser.add_argument(
        "--severity", choices=["info", "warn", "critical"], default="info", type=_severity,
        help="at least as grave as this; warning and crit are understood, too",
    )  # fmt: skip
    parser.add_argument("--since", metavar="TIME", help="not before this")
    parser.add_argument("--until", metavar="TIME", help="not after this")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--follow", "-f", action="store_true", help="go on as events come")
    what.add_argument("--gaps", action="store_true", help="which events are missing, and why")
    parser.add_argument("--json", action="store_true", help="print the lines as they were written")


def _severity(word: str) -> str:
    """An event's word for what alerts and logs call by others."""
    word = word.lower()
    return {"warning": "warn", "crit": "critical"}.get(word, word)


def run(args: argparse.Namespace) -> int:
    """Show the events, or what is missing of them."""
    from isthmus.errors import EventLogError
    from isthmus.events.finding import find_log, is_part, newest_log
    from isthmus.events.reader import LogReader
    from isthmus.events.showing import harmless

    selection = _selection(args)
    path = find_log(args.path) if args.path else newest_log(Path("logs"), Path("runs"))
    if args.gaps:
        return _show_gaps(path, args.json)
    if args.follow and is_part(path):
        raise EventLogError(f"--follow: {path} was put aside and does not grow; name its folder")
    with closing(LogReader(path, needle=selection.needle())) as reader:
        found = _show(reader, selection, args)
        _warn_of_damage(reader.damage)
    if not found:
        print(f"isthmus: {harmless(_nothing(path, args))}", file=sys.stderr)
    return 0


def pause() -> None:
    """Let time pass between two looks."""
    time.sleep(LOOK_AGAIN)


def _nothing(path: Path, args: argparse.Namespace) -> str:
    """Why nothing is shown."""
    filters = {name: getattr(args, name) for name in ("corr", "session", "type", "since", "until")}
    if args.severity != "info":
        filters["severity"] = args.severity
    given = " ".join(f"--{name} {value}" for name, value in filters.items() if value)
    if not given:
        return f"{path}: there is no event yet"
    why = "; one that went well is written down only with --record-payloads" if args.corr else ""
    return f"{path}: no event fits {given}{why}"


def _show(reader: LogReader, selection: Selection, args: argparse.Namespace) -> int:
    """Print what is wanted; how much that was."""
    from isthmus.events.finding import read_log

    lines = _wanted(read_log(reader), selection)
    if args.follow and args.since is None:
        lines = iter(deque(lines, LAST))
    found = _print(lines, args.json)
    reader.missed.clear()  # what is missing of the past, `--gaps` says, and why
    told = 0
    while args.follow:
        told = _warn_of_news(reader, told)
        pause()
        _print(_wanted(reader.read(), selection), args.json)
    return found


def _selection(args: argparse.Namespace) -> Selection:
    from isthmus.errors import EventLogError
    from isthmus.events.kinds import EVENTS, SEVERITIES
    from isthmus.events.selecting import Selection, instant

    if args.type and args.type not in EVENTS:
        import difflib

        near = difflib.get_close_matches(args.type, EVENTS, 1)
        meant = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(EVENTS)}"
        raise EventLogError(f"--type: there is no kind of event {args.type!r}{meant}")
    now = time.time()
    return Selection(
        corr_id=args.corr,
        session=args.session,
        type_=args.type,
        severity=SEVERITIES[args.severity],
        since=None if args.since is None else instant(args.since, now),
        until=None if args.until is None else instant(args.until, now),
    )


def _wanted(lines: Iterator[LogLine], selection: Selection) -> Iterator[LogLine]:
    return (line for line in lines if selection.wants(line.event))


def _print(lines: Iterator[LogLine], raw: bool) -> int:
    from isthmus.events.showing import described

    found = 0
    for found, line in enumerate(lines, 1):  # noqa: B007
        # A line of ours is plain already; another program's must not reach a terminal as it is.
        text = line.text.decode("utf-8", "replace")
        plain = text.isascii() and text.isprintable()
        print((text if plain else json.dumps(line.event)) if raw else described(line.event))
    sys.stdout.flush()
    return found


def _warn_of_damage(damage: Sequence[Damage]) -> None:
    from isthmus.events.showing import harmless

    for path, what in damage:
        print(harmless(f"isthmus: {path}: {what}"), file=sys.stderr)


def _warn_of_news(reader: LogReader, told: int) -> int:
    """Say what a look at a log that is followed could not read; how much damage is told by now."""
    _warn_of_damage(reader.damage[told:])
    for boot, first, last in reader.missed:
        print(
            f"isthmus: {last - first + 1} events of {boot}, {first} to {last}, are not shown: "
            "their file was removed before it was read, or they were lost; --gaps says more",
            file=sys.stderr,
        )
    reader.missed.clear()
    return len(reader.damage)


def _show_gaps(path: Path, as_json: bool) -> int:
    from isthmus.events.report import gap_report

    report = gap_report(path)
    if as_json:
        print(json.dumps(report.facts(), indent=1))
    else:
        print("".join(f"{line}\n" for line in report.lines()), end="")
        if not report.found:
            print("isthmus: no event here has a number", file=sys.stderr)
        _warn_of_damage(report.damage)
    return 0 if report.is_whole() else EXIT_MISSING
