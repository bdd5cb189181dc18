"""Find the Python interpreters of a machine by looking where they are kept and running each.

A name on PATH proves nothing: pyenv's `python3.12` is a script that fails unless that version is
switched on, a virtual environment's `python` is another interpreter's, and a folder may hold a
Python that no longer starts. So every candidate is *run* once, and what it prints is parsed.

Looking (`candidates`), running (`probe`) and understanding (`parse_probe`) are apart, so that all
but the running is tested without a process.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isthmus.runtimes.asking import ask

OLDEST = (3, 10)
SIM_PREFERENCE = "3.11"  # Isaac Sim 5.x
POLICY_PREFERENCE = "3.12"

_PROBE_TIMEOUT = 20.0  # seconds; a cold disk or a network home is slow, a hung one must not hang us
_NAME = re.compile(r"python3(\.\d+)?(\.exe)?\Z")
_STANDARD_FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")

# Must run on anything called python3, however old, and say what it is.
_PROBE_PROGRAM = """
import json, os, platform, sys, sysconfig
try:
    from importlib.util import find_spec
    has_venv = bool(find_spec("venv")) and bool(find_spec("ensurepip"))
except ImportError:
    has_venv = False
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "version": list(sys.version_info[:3]),
    "release": sys.version_info[3] == "final",
    "implementation": platform.python_implementation(),
    "soabi": sysconfig.get_config_var("SOABI") or sysconfig.get_config_var("EXT_SUFFIX") or "",
    "has_venv": has_venv,
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One Python that was run and answered.

    Attributes:
        path: the executable, links followed; of a virtual environment, the one it was made from.
        version: (major, minor, micro).
        implementation: "CPython", "PyPy", ...
        soabi: which compiled extensions it loads, such as "cpython-312-x86_64-linux-gnu".
        has_venv: False where a distribution ships `venv` or `ensurepip` apart.
        found: where it was found: "running", "pyenv", "uv", "PATH" or "system".
    """

    path: Path
    version: tuple[int, int, int]
    implementation: str
    soabi: str
    has_venv: bool
    found: str

    @property
    def minor(self) -> str:
        """The feature version, such as "3.12"."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def free_threaded(self) -> bool:
        """True for a build without the global lock, which few packages are made for."""
        return re.match(r"cpython-\d+t-", self.soabi) is not None

    def __str__(self) -> str:
        """Name it for a person, on one line."""
        version = ".".join(map(str, self.version))
        note = "" if self.has_venv else ", without venv"
        return f"{self.implementation} {version} at {self.path} ({self.found}{note})"


@dataclass(frozen=True, slots=True)
class InterpreterPair:
    """The two Pythons of a run: the simulator's and the policy's."""

    sim: Interpreter
    policy: Interpreter


def candidates(environ: Mapping[str, str], running: str) -> Iterator[tuple[Path, str]]:
    """List executables that may be a Python, the likeliest first, without running any.

    Args:
        environ: PATH, HOME, PYENV_ROOT, UV_PYTHON_INSTALL_DIR and XDG_DATA_HOME are read.
        running: the executable of the Python that runs this, or "".

    Yields:
        Pairs of a path and where it was found.
    """
    if running:
        yield Path(running), "running"
    folders = [Path(part) for part in environ.get("PATH", "").split(os.pathsep) if part]
    pyenv_roots = _pyenv_roots(environ, folders)
    for root in pyenv_roots:
        for version in _listed(root / "versions"):
            yield from _pythons(version / "bin", "pyenv")
    for root in _uv_roots(environ):
        for version in _listed(root):
            yield from _pythons(version / "bin", "uv")
    shims = {root / "shims" for root in pyenv_roots}
    for folder in folders:
        if folder not in shims:  # they lead to the versions above, or fail
            yield from _pythons(folder, "PATH")
    for name in _STANDARD_FOLDERS:
        yield from _pythons(Path(name), "system")


def parse_probe(output: str, found: str) -> Interpreter | None:
    """Understand what the probe printed.

    Returns:
        The interpreter, or None if the output is not the probe's or the Python is older than we
        support or a pre-release.
    """
    try:
        # The last line: a start-up file of the site may have printed before.
        facts = json.loads(output.strip().splitlines()[-1])
        major, minor, micro = facts["version"]
        interpreter = Interpreter(
            path=Path(facts["executable"]),
            version=(int(major), int(minor), int(micro)),
            implementation=str(facts["implementation"]),
            soabi=str(facts["soabi"]),
            has_venv=bool(facts["has_venv"]),
            found=found,
        )
    except (ValueError, IndexError, KeyError, TypeError):
        return None
    return interpreter if facts["release"] and interpreter.version >= OLDEST else None


def probe(
    path: Path, found: str = "PATH", environ: Mapping[str, str] | None = None
) -> Interpreter | None:
    """Run `path` once and say what it is.

    Args:
        path: the executable.
        found: where it was found.
        environ: what it is started with; None is our own environment.

    Returns:
        The interpreter, or None if it does not start, does not answer or is too old.
    """
    try:
        answer = ask([path, "-I", "-c", _PROBE_PROGRAM], environ, _PROBE_TIMEOUT)
    except OSError:  # it cannot be started, or hangs
        return None
    return parse_probe(answer.stdout, found) if answer.status == 0 else None


def find_interpreters(
    environ: Mapping[str, str] | None = None,
    *,
    running: str | None = None,
    probe: Callable[[Path, str], Interpreter | None] = probe,
) -> list[Interpreter]:
    """Find every CPython of at least 3.10 on this machine.

    Args:
        environ: as `os.environ`, which is the default.
        running: the Python that asks, always a candidate; None is this one, "" is none.
        probe: runs one candidate; a `probes.ProbeCache` runs each only once.

    Returns:
        Oldest version first, each interpreter once.
    """
    environ = os.environ if environ is None else environ
    running = sys.executable if running is None else running
    tried: set[Path] = set()
    found: dict[Path, Interpreter] = {}
    for path, where in candidates(environ, running):
        real = Path(os.path.realpath(path))
        # A link into a virtual environment resolves to its base, but a launcher script does not.
        if real in tried:
            continue
        tried.add(real)
        interpreter = probe(path, where)
        if interpreter is not None and interpreter.implementation == "CPython":
            found.setdefault(interpreter.path, interpreter)
    return sorted(found.values(), key=lambda interpreter: interpreter.version)


def newest_of_each_minor(found: Iterable[Interpreter]) -> list[Interpreter]:
    """Keep the newest interpreter of each feature version, oldest version first.

    Of two with the same version the one found first stays, one that can make environments before
    one that cannot, and a free-threaded build only where there is no other.
    """
    best: dict[tuple[int, int], Interpreter] = {}
    for interpreter in found:
        feature = interpreter.version[:2]
        if feature not in best or _rank(interpreter) > _rank(best[feature]):
            best[feature] = interpreter
    return [best[feature] for feature in sorted(best)]


def choose_pair(found: Iterable[Interpreter]) -> InterpreterPair | None:
    """Choose the simulator's and the policy's Python.

    3.11 and 3.12 if they are there; else two different versions, the older for the simulator; else
    the only one, for both.

    Returns:
        The pair, or None if nothing was found.
    """
    usable = newest_of_each_minor(found)
    if not usable:
        return None
    by_minor = {interpreter.minor: interpreter for interpreter in usable}
    sim = by_minor.get(SIM_PREFERENCE) or next(
        (each for each in usable if each.minor != POLICY_PREFERENCE), usable[0]
    )
    policy = by_minor.get(POLICY_PREFERENCE) or next(
        (each for each in reversed(usable) if each.minor != sim.minor), usable[-1]
    )
    if sim.version > policy.version:
        sim, policy = policy, sim
    return InterpreterPair(sim=sim, policy=policy)


def _rank(interpreter: Interpreter) -> tuple[bool, bool, tuple[int, int, int]]:
    return (interpreter.has_venv, not interpreter.free_threaded, interpreter.version)


def _pyenv_roots(environ: Mapping[str, str], folders: Iterable[Path]) -> list[Path]:
    """Find pyenv by its variable, by its folder in the home, and by its shims on PATH."""
    named = [Path(environ["PYENV_ROOT"])] if environ.get("PYENV_ROOT") else []
    home = [Path(environ["HOME"]) / ".pyenv"] if environ.get("HOME") else []
    shims = [folder.parent for folder in folders if folder.name == "shims"]
    roots = dict.fromkeys([*named, *home, *shims])
    return [root for root in roots if os.path.isdir(root / "versions")]


def _uv_roots(environ: Mapping[str, str]) -> list[Path]:
    if environ.get("UV_PYTHON_INSTALL_DIR"):
        return [Path(environ["UV_PYTHON_INSTALL_DIR"])]
    if environ.get("XDG_DATA_HOME"):
        return [Path(environ["XDG_DATA_HOME"]) / "uv" / "python"]
    if environ.get("HOME"):
        return [Path(environ["HOME"]) / ".local" / "share" / "uv" / "python"]
    return []


def _pythons(folder: Path, found: str) -> Iterator[tuple[Path, str]]:
    for path in _listed(folder):
        if _NAME.match(path.name) and os.access(path, os.X_OK):
            yield path, found


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # not there, not a folder, not ours to read: nothing to find in it
        return []
