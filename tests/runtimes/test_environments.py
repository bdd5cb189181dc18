"""Environments are built once, completely, and again when what they are made from changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import (
    EnvironmentSpec,
    Interpreter,
    built_environments,
    ensure_environment,
    read_environment,
)
from isthmus.runtimes.making.environments import STAMP
from isthmus.runtimes.making.installers import python_of


class FakeInstaller:
    """Writes what an installer would, and remembers what it was asked."""

    name = "fake"

    def __init__(self, purelib: Path) -> None:
        self.purelib = purelib
        self.calls: list[str] = []
        self.broken = False

    def create(self, interpreter: Interpreter, folder: Path) -> None:
        self.calls.append(f"create {interpreter.minor}")
        python = python_of(folder)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!/bin/sh\necho {self.purelib}\n")
        python.chmod(0o755)

    def install(self, folder: Path, lock: Path) -> None:
        self.calls.append(f"install {lock.stem}")
        if self.broken:
            raise EnvironmentSetupError("no index in reach")


class Setup:
    """One environment to be built, and everything it is built from."""

    def __init__(self, tmp_path: Path) -> None:
        self.purelib = tmp_path / "purelib"
        self.purelib.mkdir()
        self.installer = FakeInstaller(self.purelib)
        self.lock = tmp_path / "numpy2.txt"
        self.lock.write_text("numpy==2.2.6\n")
        self.root = tmp_path / "environments"
        self.spec = EnvironmentSpec("sim", self.root / "sim", self.lock, tmp_path / "src")
        self.said: list[str] = []

    def ensure(self, micro: int = 7) -> list[str]:
        """Build, and return what the installer was asked to do this time."""
        before = len(self.installer.calls)
        python = Interpreter(Path("/python3"), (3, 11, micro), "CPython", "cp", True, "PATH")
        ensure_environment(self.spec, python, lambda: self.installer, self.said.append)
        return self.installer.calls[before:]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_built_once(setup: Setup) -> None:
    assert setup.ensure() == ["create 3.11", "install numpy2"]
    assert setup.ensure() == []
    assert setup.said == ["building sim: Python 3.11.7, numpy2.txt, by fake"]


def test_says_what_is_there(setup: Setup) -> None:
    assert read_environment(setup.spec.folder) is None
    assert built_environments(setup.root) == {}
    setup.ensure()
    built = built_environments(setup.root)["sim"]
    assert (built.name, built.version, built.minor, built.lock) == (
        "sim",
        "3.11.7",
        "3.11",
        "numpy2",
    )
    assert built.python == python_of(setup.spec.folder)


def test_the_source_is_put_on_its_path(setup: Setup, tmp_path: Path) -> None:
    setup.ensure()
    (path_file,) = setup.purelib.glob("*.pth")
    assert path_file.read_text().strip() == str(tmp_path / "src")


def test_a_changed_lock_changes_the_packages_only(setup: Setup) -> None:
    setup.ensure()
    setup.lock.write_text("numpy==2.3.0\n")
    assert setup.ensure() == ["install numpy2"]
    assert setup.ensure() == []


@pytest.mark.parametrize(
    "line",
    ["-r more/other.txt", "--requirement=more/other.txt  # why", "-c more/other.txt", "-r more"],
)
def test_a_changed_file_that_a_lock_includes_changes_the_packages(setup: Setup, line: str) -> None:
    more = setup.lock.with_name("more")
    more.mkdir()
    for name in ("other.txt", "deeper.txt"):
        (more / name).write_text("-r deeper.txt\n-r ../numpy2.txt\n")  # round and round
    setup.lock.write_text(f"numpy==2.2.6\n{line}\n")
    setup.ensure()
    assert setup.ensure() == []
    for name in ("other.txt", "deeper.txt"):
        (more / name).write_text((more / name).read_text() + "six==1.0\n")
        assert setup.ensure() == ([] if line == "-r more" else ["install numpy2"])
        assert setup.ensure() == []


def test_another_python_builds_anew(setup: Setup) -> None:
    setup.ensure(micro=7)
    assert setup.ensure(micro=9) == ["create 3.11", "install numpy2"]


def test_a_failed_build_is_never_used(setup: Setup) -> None:
    setup.installer.broken = True
    with pytest.raises(EnvironmentSetupError, match="no index"):
        setup.ensure()
    assert read_environment(setup.spec.folder) is None
    setup.installer.broken = False
    assert setup.ensure() == ["create 3.11", "install numpy2"]


def test_a_failed_change_is_never_used(setup: Setup) -> None:
    setup.ensure()
    setup.lock.write_text("numpy==2.3.0\n")
    setup.installer.broken = True
    with pytest.raises(EnvironmentSetupError):
        setup.ensure()
    assert read_environment(setup.spec.folder) is None


@pytest.mark.parametrize("damage", ["", "{", "{}", '{"stamp_version": 99}', "[]"])
def test_a_torn_stamp_builds_anew(setup: Setup, damage: str) -> None:
    setup.ensure()
    (setup.spec.folder / STAMP).write_text(damage)
    assert setup.ensure() == ["create 3.11", "install numpy2"]


def test_an_environment_whose_python_is_gone_builds_anew(setup: Setup) -> None:
    setup.ensure()
    python_of(setup.spec.folder).unlink()
    assert setup.ensure() == ["create 3.11", "install numpy2"]
