"""Programs that answer as a Python or as uv would, and a package index in a folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def executable(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a program that another thread's child still has open cannot start.
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(path)
    return path


def fake_python(path: Path, version: str, **facts: object) -> Path:
    """Write a program that answers the probe as this version, and counts how often it did.

    How often is the number of lines of the file beside it that ends in `.asked`.
    """
    numbers = [int(part) for part in version.split(".")]
    answer = {
        "executable": str(path.resolve()),
        "version": numbers,
        "release": True,
        "implementation": "CPython",
        "soabi": f"cpython-{numbers[0]}{numbers[1]}-x86_64-linux-gnu",
        "has_venv": True,
        **facts,
    }
    text = f"#!/bin/sh\necho asked >> '{path}.asked'\necho '{json.dumps(answer)}'\n"
    return executable(path, text)


def times_asked(path: Path) -> int:
    """Say how often a fake Python was run."""
    counted = Path(f"{path}.asked")
    return len(counted.read_text(encoding="utf-8").splitlines()) if counted.exists() else 0


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """Write the wheel of a package with one module, which knows its version."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    # Compiled files go by second and size: two versions installed in one second differ in size.
    padding = "#" * int(version.replace(".", ""))
    files = {
        f"{name}.py": f"VERSION = {version!r}  {padding}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def only_from(folder: Path) -> Mapping[str, str]:
    """Settings that make uv and pip see the packages of one folder and no index."""
    place = str(folder)
    return {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": place,
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": place,
        "UV_OFFLINE": "1",
    }


@pytest.fixture(scope="session")
def real_uv(pytestconfig: pytest.Config) -> Path:
    """The uv that builds this checkout's environments."""
    own = ROOT / ".envs" / "uv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        if pytestconfig.getoption("--require-environments"):
            pytest.fail("uv is not there; `make test` gets it")
        pytest.skip("uv is not there; `make test` gets it")
    return Path(uv)
