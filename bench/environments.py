"""The two interpreters of a run, and the compiled floor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import (
    EnvironmentSpec,
    Installer,
    PipInstaller,
    UvInstaller,
    choose_pair,
    ensure_environment,
    find_interpreters,
)

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = BENCH / "build"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Interpreters:
    """The Python that asks (the simulator's) and the one that answers (the policy's)."""

    sim: Path
    policy: Path


def find_or_build(say: Say) -> Interpreters:
    """Build both environments below bench/build, once; where that fails, use this Python for both.

    Args:
        say: told, in one line, what is being built or why it could not be.
    """
    pair = choose_pair(find_interpreters())
    if pair is None:
        say("found no other CPython; both sides run in this one")
        return Interpreters(Path(sys.executable), Path(sys.executable))
    built = {}
    for side, interpreter in (("sim", pair.sim), ("policy", pair.policy)):
        spec = EnvironmentSpec(
            name=f"bench-{side}",
            folder=BUILD / side,
            lock=BENCH / "requirements.txt",
            source=ROOT / "src",
        )
        try:
            built[side] = ensure_environment(spec, interpreter, _installer, say).python
        except EnvironmentSetupError as error:
            say(f"{side}: {str(error).splitlines()[0]}; using this Python instead")
            built[side] = Path(sys.executable)
    return Interpreters(**built)


@cache
def _installer() -> Installer:
    uv = shutil.which("uv")
    return UvInstaller(Path(uv), os.environ) if uv else PipInstaller(os.environ)


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
