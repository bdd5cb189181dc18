"""The smallest project: two environments made on demand, one run, offline from the second on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from isthmus.runtimes.making.requirements import read_lock, read_requirements
from isthmus.runtimes.manifest import load_manifest

pytestmark = [pytest.mark.slow, pytest.mark.cross_python]

NOWHERE = {
    "UV_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}
"""An environment in which no package index is in reach."""


class Project:
    """A copy of the example in a folder of its own."""

    def __init__(self, source: Path, folder: Path, package: Path, tools: Path) -> None:
        self.folder = folder
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".isthmus", "runs"))
        program = folder / "sim.py"
        text, patient = program.read_text(encoding="utf-8"), "isthmus.connect(url, deadline=20)"
        assert "isthmus.connect(url)" in text
        # No action is late then, however busy the machine that runs the tests.
        program.write_text(text.replace("isthmus.connect(url)", patient), encoding="utf-8")
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(package),
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        }

    def up(self, **variables: str) -> tuple[int, str]:
        """Bring it up: exit status, and all that was said."""
        done = subprocess.run(
            [sys.executable, "-m", "isthmus", "up"],
            cwd=self.folder,
            env={**self._environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        return done.returncode, done.stdout


@pytest.fixture
def project(project_root: Path, tmp_path: Path) -> Project:
    source = project_root / "examples" / "two_venvs"
    tools, uv = tmp_path / "bin", project_root / ".envs" / "uv" / "bin" / "uv"
    tools.mkdir()
    if uv.exists():  # that of `make`; otherwise the one on PATH, or one that the project installs
        (tools / "uv").symlink_to(uv)
    return Project(source, tmp_path / "project", project_root / "src", tools)


def versions(said: str) -> Mapping[str, tuple[str, str]]:
    """Side -> its Python and its numpy, as they said."""
    pattern = r"(simulator|policy): Python (\S+), numpy (\S+)"
    return {side: (python, numpy) for side, python, numpy in re.findall(pattern, said)}


def check_goals(said: str) -> None:
    """All three were reached."""
    found = re.findall(r"goal \[.*\]: (\S+) mm off", said)
    assert len(found) == 3 and all(float(off) <= 10 for off in found), said


def test_it_comes_up_and_needs_no_network_from_then_on(project: Project) -> None:
    before = {path.name: path.read_bytes() for path in (project.folder / "isthmus-locks").iterdir()}
    status, said = project.up()
    assert status == 0, said
    check_goals(said)
    made = versions(said)
    sim_minor = tuple(map(int, made["simulator"][0].split(".")[:2]))
    assert made["simulator"][1].startswith("1." if sim_minor < (3, 13) else "2."), made
    assert made["policy"][1].startswith("2."), made
    after = {path.name: path.read_bytes() for path in (project.folder / "isthmus-locks").iterdir()}
    assert after == before, "the locks that are committed were not used"

    status, said = project.up(**NOWHERE, UV_CACHE_DIR=str(project.folder / "empty"))
    assert status == 0, said
    check_goals(said)
    assert versions(said) == made and "building" not in said


def test_one_python_is_enough(project: Project) -> None:
    manifest = project.folder / "isthmus.toml"
    only = "{}.{}".format(*sys.version_info[:2])
    text, changed = re.subn(
        r"^python = .*$", f'python = "{only}"', manifest.read_text(encoding="utf-8"), flags=re.M
    )
    assert changed == 2
    manifest.write_text(text, encoding="utf-8")
    status, said = project.up()
    assert status == 0, said
    check_goals(said)
    made = versions(said)
    assert all(python.startswith(f"{only}.") for python, _ in made.values()), made
    assert sys.version_info >= (3, 13) or made["simulator"][1] != made["policy"][1], made


def test_the_locks_are_of_what_the_manifest_requires(project_root: Path) -> None:
    folder = project_root / "examples" / "two_venvs"
    runtimes = load_manifest(folder / "isthmus.toml", {}).runtimes
    assert list(runtimes) == ["sim", "policy"]
    for name, runtime in runtimes.items():
        lock = read_lock(folder / "isthmus-locks" / f"{name}.txt")
        assert lock is not None and lock.valid_for == ">=3.10"
        assert lock.digest == read_requirements(runtime.requirements, folder).digest
