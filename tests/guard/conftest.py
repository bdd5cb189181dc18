"""Programs that run under the guard, in a Python of one's choice."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from isthmus.guard import STARTUP_FOLDER, VARIABLE, forbidden, uninstall

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]
Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below the test's folder; returns the folder."""

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def simulator(write: Write) -> Path:
    """A folder with packages that have the names of the simulator's, and would tell if loaded."""
    loud = "print('LOADED', __name__)"
    return (
        write(
            {
                "installed/omni/usd/__init__.py": loud,  # omni itself is a namespace package
                "installed/pxr/__init__.py": loud,
                "installed/pxr/Usd.py": loud,
                "installed/carb.py": loud,
            }
        )
        / "installed"
    )


@pytest.fixture
def run(write: Write, tmp_path: Path) -> Run:
    """Run a program under the guard as the environment hands it down."""

    def run(
        python: Path,
        program: str,
        *more: Path,
        forbid: str | None = "omni,isaacsim,carb,pxr",
        arguments: tuple[str, ...] = ("program.py",),
        **variables: str,
    ) -> Done:
        write({"program.py": program})
        path = [str(STARTUP_FOLDER), str(STARTUP_FOLDER.parents[2]), *map(str, more)]
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONNOUSERSITE": "1",
            **({} if forbid is None else {VARIABLE: forbid}),
            **variables,
        }
        return subprocess.run(
            [str(python), *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def unguarded() -> object:
    """Leave this process as it was, whatever a test installs in it."""
    assert forbidden() == {}
    yield
    uninstall()
