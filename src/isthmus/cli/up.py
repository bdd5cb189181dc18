"""`isthmus up [RUN] [-- ARGS]`: supervise the processes of a run, and leave nothing behind."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from isthmus.errors import ManifestError
from isthmus.runtimes.plan import Plan

from .ps import manifest_of

USAGE = "isthmus up [--manifest FILE] [RUN] [-- ARGS ...]"
EPILOG = """\
ARGS are added to the command of the main process. The first Ctrl-C stops the processes in order,
dependents first; the second one kills them.

exit status: that of the main process; 130 after Ctrl-C (128 + the signal's number, in general);
3 if a process failed or could not be started; 2 if the manifest or the command line is wrong.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus up`."""
    parser.epilog = EPILOG
    parser.usage = USAGE
    _add_manifest(parser)
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="[RUN] [-- ARGS ...]",
        help="a run of the manifest, if it has several; more for its main process",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Supervise one run; its exit status."""
    import asyncio

    from isthmus.runtimes.launch import prepare
    from isthmus.runtimes.manifest import load_manifest
    from isthmus.runtimes.plan import plan
    from isthmus.runtimes.state import StateFolder
    from isthmus.supervisor.run import Run

    _fill_standard_descriptors()
    name, more = _words(args)
    manifest = load_manifest(manifest_of(args), os.environ)
    chosen = with_arguments(plan(manifest, name), more)
    state = StateFolder.beside(manifest.folder)
    return asyncio.run(Run(manifest, chosen, state, os.environ, prepare).supervise())


def with_arguments(chosen: Plan, more: Sequence[str]) -> Plan:
    """Add arguments to the command of the main process.

    Raises:
        ManifestError: the run has none.
    """
    from isthmus.runtimes.placeholders import escape

    if not more:
        return chosen
    if chosen.main is None:
        raise ManifestError(
            f"arguments after -- are for the main process, and run {chosen.name!r} has none: "
            "name one as [run.NAME] main in isthmus.toml"
        )
    processes = tuple(
        replace(each, command=(*each.command, *map(escape, more)))
        if each.name == chosen.main
        else each
        for each in chosen.processes
    )
    return replace(chosen, processes=processes)


def _fill_standard_descriptors() -> None:
    """Open what was closed (`>&-`): else the next file opened would be taken for the terminal."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _words(args: argparse.Namespace) -> tuple[str | None, list[str]]:
    """Part the run's name from what comes after `--`; options may stand behind the name too."""
    words = list(args.words)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog="isthmus up", usage=USAGE)
    _add_manifest(parser, args.manifest)
    parser.add_argument("run", nargs="?")
    _, others = parser.parse_known_args(words[:cut], args)
    if others:
        at = cut
        for word in reversed(others):  # from the end: it may be there before, as the run's name
            at = max((place for place in range(at) if words[place] == word), default=at)
        meant = ["isthmus", "up", *words[:at], "--", *words[at:cut], *words[cut + 1 :]]
        parser.error(f"arguments of the main process go after --: {shlex.join(meant)}")
    return args.run, words[cut + 1 :]


def _add_manifest(parser: argparse.ArgumentParser, default: Path | None = None) -> None:
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE", default=default,
        help="default: isthmus.toml here or in a folder above",
    )  # fmt: skip
