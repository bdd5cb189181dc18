"""The wheel of this checkout, and new environments that hold it and what it needs alone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.runtimes import Environment, choose_installer, probe
from isthmus.runtimes.making.installers import python_of, run_tool


@pytest.fixture(scope="session")
def wheel(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    run_tool([*command, str(project_root)], os.environ)
    (built,) = folder.glob("*.whl")
    return built


Install = Callable[[Environment], Path]


@pytest.fixture(scope="session")
def install(wheel: Path, project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Make a new environment like the given one, with the wheel in it; its Python."""
    made: dict[str, Path] = {}

    def install(like: Environment) -> Path:
        if like.name not in made:
            made[like.name] = _install(like, tmp_path_factory.mktemp(like.name) / "environment")
        return made[like.name]

    def _install(like: Environment, folder: Path) -> Path:
        interpreter = probe(like.python)
        assert interpreter is not None
        locks = project_root / "requirements"
        uv = project_root / ".envs" / "uv"
        installer = choose_installer(uv, locks / "uv.txt", interpreter, os.environ, print)
        installer.create(interpreter, folder)
        lock = folder.parent / "needs.txt"
        numpy = (locks / f"{like.lock}.txt").read_text(encoding="utf-8")
        lock.write_text(numpy + toml_reader(locks / "policy.txt"), encoding="utf-8")
        installer.install(folder, lock)
        pip = [sys.executable, "-m", "pip", "--python", str(python_of(folder))]
        run_tool([*pip, "install", "--no-index", "--no-deps", str(wheel)], os.environ)
        run_tool([*pip, "check"], os.environ)
        return python_of(folder)

    return install


def toml_reader(lock: Path) -> str:
    """The lines of a lock that pin what Python 3.10 reads TOML with."""
    found = re.search(r"^tomli==.*\n(?: .*\n)*", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[0]


@pytest.fixture(params=["oldest", "newest"])
def installed(
    request: pytest.FixtureRequest,
    install: Install,
    oldest_python: Environment,
    newest_python: Environment,
) -> Path:
    """The Python of an environment that holds the wheel and what it needs alone."""
    return install(oldest_python if request.param == "oldest" else newest_python)
