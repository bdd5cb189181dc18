"""The two interpreters of a run, and the compiled floor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import (
    EnvironmentSpec,
    Installer,
    Interpreter,
    built_environments,
    choose_installer,
    ensure_environment,
    probe,
)

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = BENCH / "build"
RUNTIMES = ROOT / ".envs"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Interpreters:
    """The Pythons of a run.

    Attributes:
        sim: asks; the project's own runtime, as the demo uses it.
        policy: answers.
        sim_peer: the same as `sim`, holding the websocket peer's packages instead.
        policy_peer: the same of `policy`.
    """

    sim: Path
    policy: Path
    sim_peer: Path
    policy_peer: Path


def find_or_build(say: Say, sim: Path | None = None, policy: Path | None = None) -> Interpreters:
    """The project's runtimes, built if they are not there, and the peer's beside them.

    What cannot be built is said, and this Python serves in its place.

    Args:
        say: told, in one line, what is being built or why it could not be.
        sim: use this Python instead of the runtime `sim`.
        policy: the same for the runtime `policy`.
    """
    if sim is None or policy is None:
        bootstrap = [sys.executable, str(ROOT / "scripts" / "bootstrap.py"), "ensure"]
        subprocess.run([*bootstrap, "sim", "policy"], check=False)
        built = built_environments(RUNTIMES)
        missing = [side for side in ("sim", "policy") if side not in built]
        if missing:
            say(f"no runtime {' and '.join(missing)}; this Python serves instead")
        here = Path(sys.executable)
        sim = sim or (built["sim"].python if "sim" in built else here)
        policy = policy or (built["policy"].python if "policy" in built else here)
    return Interpreters(sim, policy, _peer("sim", sim, say), _peer("policy", policy, say))


def _peer(side: str, python: Path, say: Say) -> Path:
    """Build what the websocket peer needs for the same interpreter."""
    interpreter = probe(python)
    if interpreter is None:
        say(f"{python} does not run; the websocket peer of that side will not either")
        return python
    lock = BENCH / "requirements.txt"
    spec = EnvironmentSpec(name=f"peer-{side}", folder=BUILD / f"peer-{side}", lock=lock)
    try:
        built = ensure_environment(spec, interpreter, lambda: _installer(interpreter, say), say)
    except EnvironmentSetupError as error:
        say(f"peer-{side}: {str(error).splitlines()[0]}; the websocket rows may be left out")
        return python
    return built.python


def _installer(interpreter: Interpreter, say: Say) -> Installer:
    lock = ROOT / "requirements" / "uv.txt"
    return choose_installer(RUNTIMES / "uv", lock, interpreter, os.environ, say)


def compile_floor(say: Say) -> Path | None:
    """Compile floor.c if it changed; None, and one line that says so, without a C compiler."""
    source, binary = BENCH / "floor.c", BUILD / "floor"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        say("no C compiler (cc, gcc, clang) on PATH: what is measured against C is left out")
        return None
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", binary, source], check=True)
    return binary
