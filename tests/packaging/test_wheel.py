"""What a user installs: one pure wheel that needs numpy alone, on the oldest and newest Python."""

from __future__ import annotations

import json
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import isthmus

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
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "isthmus/py.typed" in names


def test_numpy_is_the_only_need_and_has_no_upper_bound(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    needs = metadata.get_all("Requires-Dist") or []
    assert [need for need in needs if "extra ==" not in need] == ["numpy>=1.24"]
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
    }
    where = run(installed, "-I", "-c", "import isthmus; print(isthmus.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent.parent)


def test_it_imports_without_warnings(installed: Path) -> None:
    program = "import isthmus; [getattr(isthmus, name) for name in isthmus.__all__]"
    run(installed, "-I", "-W", "error", "-c", program)


def test_the_console_script_is_there(installed: Path) -> None:
    script = installed.with_name("isthmus")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"isthmus {isthmus.__version__}\n"
