from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.manifest.schema import manifest_schema_text

from ..support.pythons import executable, make_wheel, only_from, real_uv

__all__ = ["real_uv"]  # a fixture


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, on a machine without an Isaac Sim or an active environment."""
    for name in ("ISAAC_SIM_ROOT", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


ANY = ("--sim", "3.11", "--policy", ">=3.10")


def test_it_writes_one_that_loads_and_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *ANY]) == 0
    manifest = load_manifest(here / "isthmus.toml", os.environ)
    assert [each.python for each in manifest.runtimes.values()] == [("3.11",), (">=3.10",)]
    printed = capsys.readouterr().out
    assert "wrote isthmus.toml" in printed
    assert 'python = "3.11"' in printed and "as said by --policy" in printed
    assert os.listdir(here) == ["isthmus.toml"]


@pytest.mark.parametrize("link", [False, True])
def test_it_replaces_nothing_unless_told(
    here: Path, capsys: pytest.CaptureFixture[str], link: bool
) -> None:
    file = here / "isthmus.toml"
    if link:
        file.symlink_to(here / "shared.toml")
    else:
        file.write_text("# mine", encoding="utf-8")
    assert main(["init", *ANY]) == 2
    assert "isthmus.toml is there already" in capsys.readouterr().err
    assert (here / "shared.toml").exists() is False
    assert link or file.read_text(encoding="utf-8") == "# mine"
    assert main(["init", *ANY, "--force"]) == 0
    load_manifest(file, os.environ)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--sim", "nowhere"), "--sim: there is no"),
        (("--policy", "3.1x"), "--policy: cannot read '3.1x'"),
        (("--schema", "no/such/folder.json"), "cannot be written"),
    ],
)
def test_what_cannot_be_leaves_nothing_behind(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert main(["init", *ANY, *words]) == 2
    assert says in capsys.readouterr().err
    assert os.listdir(here) == []


def test_the_schema_for_editors(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *ANY, "--schema", "isthmus.schema.json"]) == 0
    assert (here / "isthmus.schema.json").read_text(encoding="utf-8") == manifest_schema_text()
    json.loads(manifest_schema_text())
    text = (here / "isthmus.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema isthmus.schema.json\n")
    assert main(["init", *ANY, "--schema", "isthmus.schema.json"]) == 2
    assert "is there already" in capsys.readouterr().err


def test_what_was_found_runs(here: Path, tmp_path: Path, real_uv: Path) -> None:
    """With nothing but the Pythons of the machine, this one among them, and an index."""
    for name in ("numpy", "onnxruntime"):
        make_wheel(tmp_path / "packages", name, "2.0")
    uv = executable(tmp_path / "bin" / "uv", f"#!/bin/sh\nexec '{real_uv}' \"$@\"\n")
    environ = {
        **only_from(tmp_path / "packages"),
        "PATH": f"{uv.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
    }
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    for words, said in (
        (["init"], "wrote isthmus.toml"),
        (["run", "policy", "--", "python", "-c", "import numpy, onnxruntime; print(6 * 7)"], "42"),
        (["run", "sim", "--", "python", "-c", "import numpy; print(7 * 8)"], "56\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "isthmus", *words],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
