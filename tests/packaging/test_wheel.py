"""What a user installs: one pure wheel that needs next to nothing, in old and new Pythons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import isthmus
from isthmus.runtimes import Environment
from isthmus.runtimes.making.installers import run_tool

pytestmark = pytest.mark.packaging

INSTALLED = """
import importlib.metadata, json
print(json.dumps(sorted(d.metadata["Name"] for d in importlib.metadata.distributions())))
"""


def run(python: Path, *arguments: str) -> str:
    """Run a Python away from the checkout and return what it printed."""
    done = subprocess.run(
        [str(python), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=python.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_is_pure_and_named_after_the_version(wheel: Path) -> None:
    assert wheel.name == f"isthmus-{isthmus.__version__}-py3-none-any.whl"


def test_the_wheel_holds_the_whole_package_and_nothing_else(
    wheel: Path, project_root: Path
) -> None:
    source = project_root / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "isthmus").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    script = f"isthmus-{isthmus.__version__}.data/scripts/isthmus"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        text = archive.read(script)
    assert names == expected | {script}
    assert text == (project_root / "scripts" / "isthmus").read_bytes()
    assert "isthmus/py.typed" in names


def test_numpy_is_the_only_need_but_for_a_reader_of_toml_on_3_10(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    needs = metadata.get_all("Requires-Dist") or []
    assert [need for need in needs if "extra ==" not in need] == [
        "numpy>=1.24",  # without an upper bound
        "tomli>=2; python_version < '3.11'",
    ]
    assert metadata["Requires-Python"] == ">=3.10"
    extras = set(metadata.get_all("Provides-Extra") or [])
    assert {"gateway", "mujoco", "train", "dev"} <= extras
    torch = [need for need in needs if need.startswith("torch")]
    assert [need.partition("extra == ")[2].strip("\"'") for need in torch] == ["train"]


def test_it_stands_beside_numpy_alone(installed: Path) -> None:
    assert set(json.loads(run(installed, "-I", "-c", INSTALLED))) <= {
        "isthmus",
        "numpy",
        "pip",
        "setuptools",
        "tomli",
    }
    where = run(installed, "-I", "-c", "import isthmus; print(isthmus.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent.parent)


def test_it_imports_without_warnings(installed: Path) -> None:
    program = "import isthmus; [getattr(isthmus, name) for name in isthmus.__all__]"
    run(installed, "-I", "-W", "error", "-c", program)


VERSION = f"isthmus {isthmus.__version__}\n"


def start(
    script: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Start the installed script in an environment of its own."""
    return subprocess.run(
        [str(script), *arguments],
        cwd=cwd,
        env={"PATH": os.defpath, "HOME": str(script.parent), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_is_there_and_starts_in_a_broken_shell(installed: Path, tmp_path: Path) -> None:
    script = installed.with_name("isthmus")
    (tmp_path / "isthmus.py").write_text("raise SystemError('shadowed')")
    broken = {"PYTHONHOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    for variables in ({}, broken):
        done = start(script, "--version", **variables)
        assert (done.stdout, done.stderr) == (VERSION, "")


def test_the_script_is_found_through_a_link(installed: Path, tmp_path: Path) -> None:
    link = tmp_path / "bin" / "isthmus"
    link.parent.mkdir()
    link.symlink_to(installed.with_name("isthmus"))
    assert start(link, "--version", PYTHONHOME=str(tmp_path)).stdout == VERSION


def test_it_runs_a_program_in_a_python_that_it_is_not_installed_in(
    installed: Path, oldest_python: Environment, newest_python: Environment, tmp_path: Path
) -> None:
    mine = run(installed, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    other = newest_python if mine == oldest_python.minor else oldest_python
    program = "import isthmus, numpy, sys; print(isthmus.__file__, *sys.version_info[:2])"
    command = ["run", "--python", str(other.python), "--", "python", "-c", program]
    broken = {"PYTHONHOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = start(installed.with_name("isthmus"), *command, **broken)
    assert done.stderr == ""
    where, *version = done.stdout.split()
    assert ".".join(version) == other.minor
    assert Path(where).resolve().is_relative_to(installed.parent.parent)


def test_it_guards_a_python_of_another_version(
    installed: Path, oldest_python: Environment, newest_python: Environment, tmp_path: Path
) -> None:
    """It lies in site-packages of its own Python, which is no folder for the other one."""
    mine = run(installed, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    other = newest_python if mine == oldest_python.minor else oldest_python
    manifest = f'[runtime.sim]\npython = "{other.python}"\nforbid_import = ["wave"]\n'
    (tmp_path / "isthmus.toml").write_text(manifest, encoding="utf-8")
    program = "import isthmus, sys; print(*sys.version_info[:2], flush=True); import wave"
    script = installed.with_name("isthmus")
    done = start(script, "run", "sim", "--", "python", "-c", program, cwd=tmp_path)
    assert done.stdout.split() == other.minor.split("."), done.stderr
    assert done.returncode == 1
    assert "wave must not be imported in this process" in done.stderr
    report = json.loads(start(script, "doctor", "--json", cwd=tmp_path).stdout)
    assert "foreign-path" not in [found["id"] for found in report["findings"]]


def test_installed_for_one_user_it_finds_a_python_that_has_it(wheel: Path, tmp_path: Path) -> None:
    python = os.path.realpath(sys.executable)  # of no virtual environment: they have no user site
    install = ["install", "--no-index", "--no-deps", "--user", "--break-system-packages"]
    environ = {"HOME": str(tmp_path), "PATH": os.defpath, "PIP_NO_WARN_SCRIPT_LOCATION": "1"}
    run_tool([sys.executable, "-m", "pip", "--python", python, *install, str(wheel)], environ)
    script = tmp_path / ".local" / "bin" / "isthmus"
    # On PATH there is one that fails, one that has no isthmus, and the right one.
    bare = tmp_path / "bare"
    tools = tmp_path / "tools"
    tools.mkdir()
    right = f'exec {python} "$@"'
    for name, text in {
        "python3": "exit 1",
        "python3.13": f"HOME={bare} {right}",
        "python3.12": right,
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    broken = {"HOME": str(tmp_path), "PYTHONHOME": str(bare), "PYTHONPATH": str(bare)}
    done = start(script, "--version", PATH=f"{tools}:{os.defpath}", **broken)
    assert (done.stdout, done.stderr) == (VERSION, "")
    (tools / "python3.12").unlink()
    done = start(script, "--version", PATH=f"{tools}:/bin", **broken)
    assert done.returncode == 2
    assert "expected a Python >= 3.10 that has isthmus" in done.stderr
