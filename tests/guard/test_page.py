"""What docs/GUARD.md shows is what happens."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.guard import DEFAULT_FORBIDDEN

from .conftest import Run, Write

MYLIB = {"mylib/vision.py": "import math\n\nimport omni.usd\n"}


@pytest.fixture(scope="module")
def page(project_root: Path) -> str:
    return (project_root / "docs" / "GUARD.md").read_text(encoding="utf-8")


def shown(page: str, begin: str) -> str:
    (block,) = [
        b for b in re.findall(r"^```\n(.*?)^```$", page, re.M | re.S) if b.startswith(begin)
    ]
    return str(block)


def test_the_error(page: str, run: Run, write: Write) -> None:
    folder = write(MYLIB)
    program = "import mylib.vision\n"
    done = run(Path(sys.executable), program, ISTHMUS_RUNTIME="policy")
    said = done.stderr[done.stderr.index("isthmus.errors.") :].replace(str(folder), "/home/me")
    assert said == shown(page, "isthmus.errors.")


def test_the_findings(
    page: str, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = "import importlib\n" + "\n" * 6 + "def load(name):\n    return importlib."
    write({**MYLIB, "mylib/plugins.py": f"{plugins}import_module(name)\n"})
    folder = write({"program.py": "import mylib.vision\n"})
    monkeypatch.chdir(folder)
    assert main(["guard", "check", "."]) == 1
    assert capsys.readouterr().out == shown(page, "mylib/vision.py")


def test_the_names(page: str) -> None:
    assert f"({', '.join(f'`{name}`' for name in DEFAULT_FORBIDDEN)})" in page
