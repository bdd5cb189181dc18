"""Keep modules of the other side out: find forbidden imports, or say what is forbidden here.

`isthmus guard check` reads programs and runs nothing. The guard that refuses imports as they
happen is installed by `isthmus run`, `isthmus up` and `isthmus serve`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ManifestError
from ..guard.hook import DEFAULT_FORBIDDEN, VARIABLE, checked_name, source_of
from ..runtimes.manifest import find_manifest, load_manifest
from .manifest_option import add_manifest

if TYPE_CHECKING:
    from ..guard.scan import Finding, Report

__all__ = ["configure", "run"]

EXIT_FOUND = 1
EXIT_UNCHECKED = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand and its arguments."""
    parser.set_defaults(work=_show)
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    check = commands.add_parser(
        "check",
        help="find forbidden imports in programs, without running them",
        description=_check.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.set_defaults(work=_check)
    add = check.add_argument
    add("paths", nargs="+", metavar="PATH", help="a Python file, a notebook, or a folder of them")
    add(
        "--forbid", action="append", default=[], type=_name, metavar="NAME",
        help="a module that must not be imported, nor what is below it; any number of times; "
        f"default {', '.join(DEFAULT_FORBIDDEN)}",
    )  # fmt: skip
    check.epilog = (
        "exit status: 0 if there are none, 1 if there are, 2 if a file could not be read."
    )
    add_manifest(check)
    add("--runtime", metavar="NAME", help="take forbid_import of this runtime from isthmus.toml")
    add(
        "--entry", action="append", default=[], metavar="FILE",
        help="a program: check only what it comes to import, in PATH and in the project around it",
    )  # fmt: skip
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(args.work(args))


def _check(args: argparse.Namespace) -> int:
    """Find forbidden imports in programs, without running them.

    A comment `# guard: allow` on an import exempts it; what stands under `if TYPE_CHECKING` is
    exempt. The exit status is 0 if there is none, 1 if there are some, 2 if something could not
    be checked.
    """
    from ..guard.scan import scan

    report = scan(args.paths, _forbidden(args), entries=args.entry)
    if args.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print(*_lines(report), sep="\n")
    if report.problems:
        return EXIT_UNCHECKED
    return EXIT_FOUND if report.findings else 0


def _forbidden(args: argparse.Namespace) -> tuple[str, ...]:
    names = list(args.forbid)
    if args.runtime is not None:
        names += _of_runtime(args.runtime, args.manifest)
    return tuple(dict.fromkeys(names)) or DEFAULT_FORBIDDEN


def _of_runtime(name: str, path: Path | None) -> tuple[str, ...]:
    manifest = load_manifest(path or find_manifest(Path.cwd()), os.environ)
    runtime = manifest.runtimes.get(name)
    if runtime is None:
        known = ", ".join(manifest.runtimes) or "none"
        raise ManifestError(f"{manifest.path}: expected one of its runtimes ({known}), got {name}")
    if not runtime.forbid_import:
        raise ManifestError(
            f"{manifest.path}: [runtime.{name}] forbids nothing; give it forbid_import = [...], "
            "or name modules with --forbid"
        )
    return runtime.forbid_import


def _name(text: str) -> str:
    try:
        return checked_name(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _lines(report: Report) -> Iterator[str]:
    for problem in report.problems:
        yield f"{problem.place}: error: {problem.message}"
    for finding in report.findings:
        yield from _of_finding(finding)
    for note in report.notes:
        yield f"{note.place}: note: {note.message}"
    found, files = len(report.findings), report.files
    yield (
        f"{found or 'no'} forbidden import{'s' * (found != 1)} in {files} file{'s' * (files != 1)}"
    )


def _of_finding(finding: Finding) -> Iterator[str]:
    below = "" if finding.module == finding.rule else f" (forbidden: {finding.rule})"
    when = f", when {finding.function} is called" if finding.function else ""
    yield f"{finding.place}: imports {finding.module}{below}{when}"
    if finding.importers:
        chain = [*map(str, finding.importers), str(finding.place), finding.module]
        yield f"    {' -> '.join(chain)}"


def _show(args: argparse.Namespace) -> int:
    """Say what is forbidden here, and by whom."""
    print(*_shown(os.environ), sep="\n")
    return 0


def _shown(environ: Mapping[str, str]) -> Iterator[str]:
    said = environ.get(VARIABLE)
    yield f"this environment: {said or 'nothing'}{f' ({source_of(environ)})' if said else ''}"
    served = ",".join(DEFAULT_FORBIDDEN) if said is None else said
    yield f"isthmus serve: {served or 'nothing'}"
    try:
        path = find_manifest(Path.cwd())
    except ManifestError as exc:
        yield str(exc)
        return
    yield f"{path}:"
    for runtime in load_manifest(path, environ).runtimes.values():
        yield f"  [runtime.{runtime.name}] {','.join(runtime.forbid_import) or 'nothing'}"
