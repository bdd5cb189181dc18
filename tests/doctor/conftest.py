"""Projects to diagnose, and a machine whose processes and start-up files are made up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from isthmus.doctor import Finding, Report, diagnose
from isthmus.doctor.origins import Places
from isthmus.runtimes import Environment
from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.state import StateFolder

KEPT = ("LANG", "PYENV_ROOT", "SSL_CERT_FILE", "XDG_RUNTIME_DIR")


def write_process(
    proc: Path, pid: int, parent: int, name: str, environ: Mapping[str, str] | None
) -> None:
    """Make up an entry of /proc; without an environment it is another user's."""
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a ) b) S {parent} 0 0", encoding="utf-8")
    (folder / "comm").write_text(f"{name}\n", encoding="utf-8")
    if environ is not None:
        pairs = "\0".join(f"{key}={value}" for key, value in environ.items())
        (folder / "environ").write_text(f"{pairs}\0", encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """A shell that nothing is wrong with."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "HOME": str(home), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def places(tmp_path: Path, home: Path) -> Places:
    """A machine with one process and no start-up files."""
    for name in ("proc", "etc", "work"):
        (tmp_path / name).mkdir()
    write_process(tmp_path / "proc", 20, 0, "bash", {"HOME": str(home)})
    write_process(tmp_path / "proc", 30, 20, "isthmus", {})
    return Places(tmp_path / "proc", tmp_path / "etc", home, tmp_path / "work", 30)


class Project:
    """A project folder with an isthmus.toml, diagnosed without a process of its own.

    Args:
        folder: where.
        environ: of the shell.
        places: of the machine.
    """

    def __init__(self, folder: Path, environ: dict[str, str], places: Places) -> None:
        self.folder = folder
        self.environ = environ
        self.places = places
        self.state = StateFolder.beside(folder)

    def write(self, text: str) -> None:
        """Write its isthmus.toml."""
        (self.folder / "isthmus.toml").write_text(text, encoding="utf-8")

    def diagnose(self, **variables: str) -> Report:
        """Diagnose it, with some more variables in the shell."""
        environ = {**self.environ, **variables}
        manifest = load_manifest(self.folder / "isthmus.toml", environ)
        return diagnose(manifest, self.state, environ, places=self.places)


@pytest.fixture
def project(tmp_path: Path, environ: dict[str, str], places: Places) -> Project:
    """A project without an isthmus.toml yet."""
    return Project(tmp_path / "work", environ, places)


@pytest.fixture
def two_sides(
    project: Project, oldest_python: Environment, newest_python: Environment, project_root: Path
) -> Project:
    """A healthy project: two Pythons, one contract, the model it was trained with."""
    model = project_root / "policies" / "reach.onnx"
    manifest = json.loads(model.with_name("reach.manifest.json").read_text(encoding="utf-8"))
    (project.folder / "contract.json").write_text(
        json.dumps(manifest["contract"]), encoding="utf-8"
    )
    project.write(
        f"""
        [runtime.sim]
        python = "{oldest_python.python.parent.parent}"
        [runtime.policy]
        python = "{newest_python.python.parent.parent}"
        [contract]
        file = "contract.json"
        model = "{model}"
        """
    )
    return project


Only = Callable[[Report, str], Finding]


@pytest.fixture
def only() -> Only:
    """Find the one finding of an id, and check that it says what to do."""

    def found(report: Report, name: str) -> Finding:
        (finding,) = [each for each in report.findings if each.id == name]
        assert finding.title and finding.evidence and finding.breaks and finding.fix
        return finding

    return found
