"""Find what is wrong with the project's runtimes and this shell, and say how to mend it.

    isthmus doctor                     one screen
    isthmus doctor --fix               and do what is safe
    isthmus doctor --explain run.log   name the known fault in a log; `-` reads standard input

The exit status is 0 if nothing is wrong, 1 if something is, 2 if it could not be found out. With
--explain it is 0 if a fault was named and 1 if none is known.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.cli.manifest_option import add_manifest
from isthmus.errors import Error, ManifestError

if TYPE_CHECKING:
    from isthmus.doctor.report import Report
    from isthmus.runtimes.settings import Manifest
    from isthmus.runtimes.state import StateFolder

__all__ = ["configure", "run"]

EXIT_HEALTHY, EXIT_FAULTS, EXIT_NOT_FOUND_OUT = 0, 1, 2
EXIT_EXPLAINED, EXIT_UNKNOWN = 0, 1  # as grep: found, or not

# A word with a suffix or a folder in it, such as run.log or logs/sim; no message is so short.
_FILE_NAME = re.compile(r"[^\s:'\"]*(?:/[^\s:'\"]+|\.(?:log|txt|out|err))")
_MAX_TEXT = 256 << 20  # characters of a log that are read


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_manifest(parser)
    parser.add_argument(
        "--fix",
        action="store_true",
        help="build missing environments, bring stale ones and their locks up to date, remove what "
        "dead runs and changed interpreters left in .isthmus; say what was done",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the report for programs: the keys are those of isthmus.doctor.Report; what "
        "keeps it from being made is `error` in its place",
    )
    parser.add_argument("--quiet", action="store_true", help="print faults only")
    parser.add_argument(
        "--explain",
        metavar="TEXT",
        help="look at nothing but this traceback or log, and name the known faults in it; "
        "it may be the name of a file, and - reads standard input",
    )
    parser.epilog = (
        "exit status: 0 if nothing is wrong, 1 if something is, 2 if it could not be found out.\n"
        "With --explain: 0 if a fault was named, 1 if none is known."
    )


def run(args: argparse.Namespace) -> int:
    """Diagnose, or explain; the exit status."""
    if args.explain is not None:
        return _explain(args.explain, as_json=args.json, quiet=args.quiet)
    try:
        report = _diagnosed(args.manifest, fix=args.fix)
    except Error as error:
        if not args.json:
            raise
        from isthmus.doctor.report import FORMAT

        print(json.dumps({"format": FORMAT, "error": str(error)}, indent=2))
        return EXIT_NOT_FOUND_OUT
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
    elif args.quiet:
        from isthmus.doctor.screen import findings_text

        for line in report.done:
            print(f"did: {line}")
        if report.faults:
            print(findings_text(report.faults))
    else:
        from isthmus.doctor.screen import screen

        print(screen(report))
    return EXIT_HEALTHY if report.is_healthy else EXIT_FAULTS


def _diagnosed(path: Path | None, *, fix: bool) -> Report:
    from isthmus.doctor.diagnosis import diagnose

    manifest, state = _project(path)
    report = diagnose(manifest, state, os.environ, say=_say)
    if not fix:
        return report
    from isthmus.doctor.remedies import mend

    done = mend(manifest, state, os.environ, report.findings, _say)
    return replace(diagnose(manifest, state, os.environ, say=_say), done=tuple(done))


def _project(path: Path | None) -> tuple[Manifest | None, StateFolder]:
    """Find the project of the current folder; without one, answers are kept in the user's cache."""
    from isthmus.runtimes.manifest import find_manifest, load_manifest
    from isthmus.runtimes.state import StateFolder

    try:
        path = find_manifest(Path.cwd()) if path is None else path
    except ManifestError:
        return None, StateFolder.of_user(os.environ)
    manifest = load_manifest(path, os.environ)
    return manifest, StateFolder.beside(manifest.folder)


def _explain(text: str, *, as_json: bool, quiet: bool) -> int:
    from isthmus.runtimes.faults import explain

    if text == "-":
        text = sys.stdin.buffer.read(_MAX_TEXT).decode("utf-8", "replace")
    elif _names_a_file(text):
        text = _read(Path(text))
    if not text.strip():
        raise Error("expected a traceback or log after --explain or on standard input, got nothing")
    matches = explain(text)
    if as_json:
        print(json.dumps([_entry(match) for match in matches], indent=2))
    elif matches or not quiet:
        from isthmus.doctor.screen import explained

        print(explained(matches))
    return EXIT_EXPLAINED if matches else EXIT_UNKNOWN


def _names_a_file(text: str) -> bool:
    """Tell the name of a log from a line of one; one that leads nowhere is read, and fails."""
    return "\n" not in text and (os.path.lexists(text) or _FILE_NAME.fullmatch(text) is not None)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_TEXT).decode("utf-8", "replace")
    except OSError as error:
        raise Error(f"cannot read {file}: {error.strerror or error}") from error


def _entry(match: object) -> dict[str, object]:
    from isthmus.runtimes.faults import Match

    assert isinstance(match, Match)
    return {
        "id": match.fault.id,
        "title": match.fault.title,
        "line": match.line,
        "number": match.number,
        "what": match.what,
        "frame": match.frame,
        "count": match.count,
        "causes": match.fault.causes,
        "fix": match.fix.splitlines(),
    }


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"isthmus: {line}", file=sys.stderr, flush=True)
