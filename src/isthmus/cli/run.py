"""Run a program in one of the project's runtimes: right interpreter, clean environment.

    isthmus run sim -- python my_sim.py --steps 100
    isthmus run --python 3.11 -- python tool.py
    isthmus run --python "$ISAAC_SIM_ROOT" -- python tool.py

The program takes this one's place: signals, exit status, standard input and the terminal are its
own. `python`, `python3` and `isthmus` are the runtime's; other programs are found on its PATH.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from isthmus.cli.manifest_option import add_manifest
from isthmus.errors import Error, ManifestError

if TYPE_CHECKING:
    from isthmus.runtimes.launch import Launch
    from isthmus.runtimes.settings import RuntimeSettings
    from isthmus.runtimes.state import StateFolder

__all__ = ["configure", "run"]

EXIT_NOT_EXECUTABLE = 126  # these two as every shell
EXIT_NOT_FOUND = 127

# Python ignores these for itself, and an exec'd program would inherit that. Whether the caller had
# ignored one as well is known to nobody by then: it is not ignored in the program.
_PYTHON_IGNORES = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")

_USAGE = "isthmus run NAME -- COMMAND, or isthmus run --python PATH_OR_RANGE -- COMMAND"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.usage = (
        "isthmus run [--manifest FILE] [--print] NAME -- COMMAND [ARGS...]\n"
        "       isthmus run [--print] --python PATH_OR_RANGE -- COMMAND [ARGS...]"
    )
    add_manifest(parser)
    parser.add_argument(
        "--python",
        metavar="PATH_OR_RANGE",
        help="an interpreter, an environment, an Isaac Sim folder or a version range, "
        "in place of a runtime of isthmus.toml",
    )
    parser.add_argument(
        "--print",
        dest="show",
        action="store_true",
        help="say what would be started, with which variables, and start nothing",
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="NAME -- COMMAND",
        help="a runtime of isthmus.toml, then the program and its arguments",
    )
    parser.epilog = (
        "exit status: the program's; 126 if it is there and cannot be started, 127 if it is not "
        "there,\n2 if the runtime cannot be used."
    )


def run(args: argparse.Namespace) -> int:
    """Become the program; comes back only where that is not possible, or not asked for."""
    from isthmus.runtimes.launch import prepare

    name, command = split_words(args.words, named=args.python is None)
    if args.python is None:
        runtime, state = _of_manifest(name, args.manifest, os.environ)
    else:
        runtime, state = _of_option(args.python, os.environ)
    launch = prepare(runtime, command, state, os.environ, _say, cwd=Path.cwd())
    if args.show:
        print(description(launch, os.environ))
        return 0
    return _become(launch)


def split_words(words: Sequence[str], *, named: bool) -> tuple[str, list[str]]:
    """Split what follows the options into the runtime's name and the command.

    Args:
        words: NAME -- COMMAND..., where the `--` may be missing, and may have been taken by
            argparse, which does so in some of its releases.
        named: False where `--python` stands for the name.

    Raises:
        Error: either is missing.
    """
    rest = list(words)
    name = ""
    if named:
        if not rest or rest[0] == "--" or rest[0].startswith("-"):
            raise Error(f"expected the name of a runtime; write {_USAGE}")
        name = rest.pop(0)
    if rest[:1] == ["--"]:
        rest.pop(0)
    elif rest and rest[0].startswith("-"):
        raise Error(f"expected a command, got {rest[0]}: options come first; write {_USAGE}")
    if not rest:
        raise Error(f"expected a command to start; write {_USAGE}")
    return name, rest


def _of_manifest(
    name: str, path: Path | None, environ: Mapping[str, str]
) -> tuple[RuntimeSettings, StateFolder]:
    from isthmus.runtimes.manifest import find_manifest, load_manifest
    from isthmus.runtimes.state import StateFolder

    manifest = load_manifest(path or find_manifest(Path.cwd()), environ)
    if name not in manifest.runtimes:
        import difflib

        near = difflib.get_close_matches(name, manifest.runtimes, 1)
        known = ", ".join(manifest.runtimes) or "none"
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ManifestError(f"{manifest.path} has no runtime {name!r}, only: {known}{hint}")
    return manifest.runtimes[name], StateFolder.beside(manifest.folder)


def _of_option(python: str, environ: Mapping[str, str]) -> tuple[RuntimeSettings, StateFolder]:
    """Describe a runtime that no manifest knows; what is made for it is in the user's cache."""
    from isthmus.runtimes.settings import RuntimeSettings
    from isthmus.runtimes.state import StateFolder

    # Programs are kept apart by what they start, and a relative path is another one elsewhere.
    place = os.fsencode(python if os.path.isabs(python) else f"{Path.cwd()}\0{python}")
    name = f"python-{hashlib.sha256(place).hexdigest()[:8]}"
    runtime = RuntimeSettings(name, (python,), folder=Path.cwd(), where="--python")
    return runtime, StateFolder.of_user(environ)


def description(launch: Launch, environ: Mapping[str, str]) -> str:
    """Say what would be started: arguments, and how its variables differ from the caller's."""
    import shlex

    from isthmus.runtimes.cleaning import LIST_VARIABLES

    lines = [f"start    {shlex.join([os.fspath(launch.executable), *launch.argv[1:]])}"]
    if launch.examination is not None:
        found = launch.examination
        numpy = f"numpy {found.numpy}" if found.numpy else "no numpy"
        lines.append(f"python   {found.version} ({found.soabi or found.implementation}), {numpy}")
    lines += [
        f"set      {name}={value}"
        for name, value in sorted(launch.environ.items())
        if environ.get(name) != value
    ]
    for each in launch.dropped:
        what = (
            f"{each.value}, of {each.name}"
            if each.name in LIST_VARIABLES
            else (f"{each.name}={each.value}")
        )
        lines.append(f"dropped  {what}\n         {each.why}")
    return "\n".join(lines)


def _become(launch: Launch) -> int:
    """Replace this process by the program."""
    streams: tuple[TextIO | None, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        if stream is not None:  # as it is where the caller closed it
            stream.flush()
    for name in _PYTHON_IGNORES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        if os.sep not in os.fspath(
            launch.executable
        ):  # found nowhere; exec would take it from here
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        os.execve(launch.executable, launch.argv, launch.environ)
    except OSError as exc:
        text, status = why_not(launch, exc)
    _say(text)
    return status


def why_not(launch: Launch, error: OSError) -> tuple[str, int]:
    """Say why a program could not be started, and the exit status a shell has for it."""
    program = os.fspath(launch.executable)
    if not launch.executable.is_absolute():
        hint = f"; for the file here, write python {program}" if os.path.isfile(program) else ""
        searched = launch.environ.get("PATH", os.defpath)
        return f"{program}: command not found on PATH ({searched}){hint}", EXIT_NOT_FOUND
    if error.errno == errno.ENOENT and not os.path.lexists(program):
        return f"{program}: no such file", EXIT_NOT_FOUND
    if error.errno == errno.ENOENT:
        return f"{program}: what its #! line names is not there", EXIT_NOT_FOUND
    if error.errno == errno.ENOEXEC:
        return f"{program}: not a program, and without a #! line", EXIT_NOT_EXECUTABLE
    reason = "is a folder" if os.path.isdir(program) else (error.strerror or str(error)).lower()
    return f"{program}: {reason}", EXIT_NOT_EXECUTABLE


def _say(line: str) -> None:
    stream: TextIO | None = sys.stderr
    if stream is not None:
        print(f"isthmus: {line}", file=stream, flush=True)
