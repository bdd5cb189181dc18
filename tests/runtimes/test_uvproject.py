"""A uv project's environment: made and locked by the real uv, from a folder of packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.locate import Located, locate
from isthmus.runtimes.making import tools
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

from ..support.pythons import executable, make_wheel, only_from, real_uv

__all__ = ["real_uv"]  # a fixture

PYPROJECT = """\
[project]
name = "mine"
version = "0"
requires-python = ">=3.10"
dependencies = ["tiny{wanted}"]

[tool.uv]
package = false
"""


class Project:
    """A uv project, beside the project whose runtime it is."""

    def __init__(self, root: Path, uv: Path) -> None:
        self.folder = root / "mine"
        self.folder.mkdir()
        self.require("<2")
        for version in ("1.0", "1.1", "2.0"):
            make_wheel(root / "packages", "tiny", version)
        self.log = root / "uv.log"
        self.uv = executable(
            root / "bin" / "uv", f"#!/bin/sh\necho \"$1\" >> '{self.log}'\nexec '{uv}' \"$@\"\n"
        )
        self.state = StateFolder.beside(root / "project")
        self.environ = {
            "PATH": f"{self.uv.parent}:{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
            "HOME": str(root),
            "UV_CACHE_DIR": str(root / "cache"),
            "UV_PROJECT_ENVIRONMENT": str(root / "elsewhere"),
            "VIRTUAL_ENV": str(root / "another"),
            **only_from(root / "packages"),
        }
        self.said: list[str] = []

    def require(self, wanted: str) -> None:
        text = PYPROJECT.replace("{wanted}", wanted)
        (self.folder / "pyproject.toml").write_text(text, encoding="utf-8")

    def locate(self, *, build: bool = True) -> Located:
        runtime = RuntimeSettings("policy", (str(self.folder),))
        self.said.clear()
        return locate(runtime, self.state, self.environ, self.said.append, build=build)

    def version(self, located: Located) -> str:
        program = "import tiny; print(tiny.VERSION)"
        return subprocess.check_output([located.python, "-I", "-c", program], text=True).strip()

    def calls(self) -> int:
        return len(self.log.read_text(encoding="utf-8").split()) if self.log.exists() else 0


@pytest.fixture
def project(tmp_path: Path, real_uv: Path) -> Project:
    return Project(tmp_path, real_uv)


def test_locked_and_made_once(project: Project) -> None:
    located = project.locate()
    assert located.kind == "project"
    assert located.python == project.folder / ".venv" / "bin" / "python"
    assert located.prefix_bin == located.python.parent
    assert project.version(located) == "1.1"
    assert (project.folder / "uv.lock").is_file()
    assert project.said == [f"bringing the environment of {project.folder} up to date, by uv"]
    assert project.locate() == located
    assert (project.calls(), project.said) == (1, [])


def test_its_lock_is_used(project: Project) -> None:
    project.locate()
    shutil.rmtree(project.folder / ".venv")
    make_wheel(Path(project.environ["UV_FIND_LINKS"]), "tiny", "1.2")
    assert project.version(project.locate()) == "1.1"


@pytest.mark.parametrize("changed", ["pyproject.toml", "uv.lock", ".venv"])
def test_brought_up_to_date_when_something_changed(project: Project, changed: str) -> None:
    project.locate()
    if changed == "pyproject.toml":
        project.require(">=2")
    elif changed == "uv.lock":
        (project.folder / "uv.lock").unlink()
        project.require(">=2")
    else:
        shutil.rmtree(project.folder / ".venv")
    assert project.version(project.locate()) == ("1.1" if changed == ".venv" else "2.0")
    assert project.calls() == 2
    project.locate()
    assert project.calls() == 2


def test_what_uv_says_is_passed_on(project: Project) -> None:
    project.require(">=9")
    with pytest.raises(EnvironmentSetupError, match="tiny"):
        project.locate()
    project.require("<2")
    assert project.version(project.locate()) == "1.1"


def test_without_building(project: Project) -> None:
    with pytest.raises(EnvironmentSetupError, match="not built yet"):
        project.locate(build=False)
    assert project.calls() == 0
    located = project.locate()
    assert project.locate(build=False) == located and project.said == []
    project.require(">=2")
    assert project.locate(build=False) == located
    assert "may be out of date" in project.said[0]
    assert project.calls() == 1


def test_one_that_is_complete_needs_no_index(project: Project) -> None:
    located = project.locate()
    shutil.rmtree(project.state.root)
    shutil.rmtree(project.environ["UV_CACHE_DIR"])
    for wheel in Path(project.environ["UV_FIND_LINKS"]).iterdir():
        wheel.unlink()
    assert project.locate() == located
    assert project.calls() == 2


def test_an_environment_the_user_made_is_taken_as_it_is_without_remark(project: Project) -> None:
    project.locate()
    shutil.rmtree(project.state.root)
    project.locate(build=False)
    assert project.said == []


class TestWithoutUv:
    @pytest.fixture(autouse=True)
    def no_uv(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        def nothing(*_: object) -> None:
            """Stand for a registry without uv."""

        monkeypatch.setattr(tools, "get_installer", nothing)
        project.uv.rename(project.uv.with_name("uv-hidden"))

    def test_an_environment_that_is_there_is_used(self, project: Project) -> None:
        hidden = project.uv.with_name("uv-hidden")
        hidden.rename(project.uv)
        located = project.locate()
        project.uv.rename(hidden)
        project.require(">=2")
        assert project.locate() == located
        assert project.said == [f"uv is not on PATH: using {project.folder / '.venv'} as it is"]

    def test_else_it_is_said(self, project: Project) -> None:
        with pytest.raises(EnvironmentSetupError, match="uv is not on PATH: install uv"):
            project.locate()
