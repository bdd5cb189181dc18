"""`isthmus guard`, and the guard of `isthmus serve`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.guard import VARIABLE

Capture = pytest.CaptureFixture[str]

MANIFEST = """
[runtime.sim]
python = "3.11"
forbid_import = ["torch"]

[runtime.policy]
python = "3.12"
forbid_import = ["omni", "carb.settings"]

[runtime.free]
python = "3.12"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest and two programs; the current one."""
    (tmp_path / "isthmus.toml").write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "main.py").write_text("import helper\nimport json\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text(
        "import torch\n\ndef load(name):\n    from omni.usd import stage\n    __import__(name)\n",
        encoding="utf-8",
    )
    (tmp_path / "sim.py").write_text("import carb\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("ISTHMUS_RUNTIME", raising=False)
    return tmp_path


def test_findings_are_lines_and_status_1(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", "."]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "helper.py:4:5: imports omni.usd (forbidden: omni), when load is called",
        "    main.py:1 -> helper.py:4:5 -> omni.usd",
        "sim.py:1:1: imports carb",
        "helper.py:5:5: note: what is imported here is known only when it runs",
        "2 forbidden imports in 3 files",
    ]


def test_nothing_found_is_status_0(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", "sim.py", "--forbid", "torch"]) == 0
    assert capsys.readouterr().out == "no forbidden imports in 1 file\n"


def test_what_is_imported_from_beside_the_paths_is_said(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", "main.py"]) == 0
    note, last = capsys.readouterr().out.splitlines()
    assert note.startswith("main.py:1:1: note: this imports helper.py: not among the paths")
    assert last == "no forbidden imports in 1 file"
    assert main(["guard", "check", "main.py", "--entry", "main.py"]) == 1
    assert "helper.py:4:5: imports omni.usd" in capsys.readouterr().out


def test_what_cannot_be_checked_is_status_2(project: Path, capsys: Capture) -> None:
    (project / "broken.py").write_text("import (\n", encoding="utf-8")
    assert main(["guard", "check", "sim.py", "broken.py", "nowhere"]) == 2
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("broken.py:1:")
    assert ": error: invalid Python: " in printed[0]
    assert printed[1].startswith("nowhere: error: does not exist")
    assert printed[2:] == ["sim.py:1:1: imports carb", "1 forbidden import in 2 files"]


def test_names_replace_the_default(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", ".", "--forbid", "torch", "--forbid", "json"]) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "helper.py:1:1: imports torch",
        "    main.py:1 -> helper.py:1:1 -> torch",
        "main.py:2:1: imports json",
    ]


def test_names_of_a_runtime(project: Path, capsys: Capture) -> None:
    folder = project / "deeper"
    folder.mkdir()
    os.chdir(folder)
    assert main(["guard", "check", "..", "--runtime", "sim"]) == 1
    assert capsys.readouterr().out.startswith("../helper.py:1:1: imports torch\n")
    assert main(["guard", "check", "../sim.py", "--runtime", "policy"]) == 0
    assert main(["guard", "check", "../sim.py", "--runtime", "policy", "--forbid", "carb"]) == 1


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ("robot", "expected one of its runtimes (sim, policy, free), got robot"),
        ("free", "[runtime.free] forbids nothing; give it forbid_import"),
    ],
)
def test_a_runtime_that_says_nothing(
    project: Path, capsys: Capture, runtime: str, words: str
) -> None:
    assert main(["guard", "check", ".", "--runtime", runtime]) == 2
    assert words in capsys.readouterr().err


def test_only_what_an_entry_reaches(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", ".", "--entry", "main.py"]) == 1
    printed = capsys.readouterr().out
    assert "helper.py:4:5" in printed
    assert "sim.py" not in printed
    assert printed.endswith("1 forbidden import in 2 files\n")


def test_json(project: Path, capsys: Capture) -> None:
    assert main(["guard", "check", ".", "nowhere", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == 3
    assert report["findings"][0] == {
        "place": {"path": "helper.py", "cell": 0, "line": 4, "column": 5},
        "module": "omni.usd",
        "rule": "omni",
        "function": "load",
        "importers": [{"path": "main.py", "cell": 0, "line": 1, "column": 0}],
    }
    assert [note["place"]["line"] for note in report["notes"]] == [5]
    assert [problem["place"]["path"] for problem in report["problems"]] == ["nowhere"]


def test_names_of_files_that_cannot_be_printed(project: Path, capsys: Capture) -> None:
    (project / os.fsdecode(b"\xff.py")).write_text("import carb", encoding="utf-8")
    assert main(["guard", "check", os.fsdecode(b"\xff.py")]) == 1
    assert capsys.readouterr().out.startswith("\\udcff.py:1:1: imports carb\n")
    assert main(["guard", "check", os.fsdecode(b"\xff.py"), "--json"]) == 1


@pytest.mark.parametrize("name", ["omni/usd", "", "a b"])
def test_what_is_no_modules_name(project: Path, capsys: Capture, name: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["guard", "check", ".", "--forbid", name])
    assert stopped.value.code == 2
    assert "expected the dotted name of a module" in capsys.readouterr().err


def test_without_a_subcommand_it_says_what_is_forbidden(
    project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [
        f"{project}/isthmus.toml:",
        "  [runtime.sim] torch",
        "  [runtime.policy] omni,carb.settings",
        "  [runtime.free] nothing",
    ]
    assert main(["guard"]) == 0
    first = ["this environment: nothing", "isthmus serve: omni,isaacsim,carb,pxr"]
    assert capsys.readouterr().out.splitlines() == first + told
    monkeypatch.setenv(VARIABLE, "torch,jax")
    monkeypatch.setenv("ISTHMUS_RUNTIME", "sim")
    assert main(["guard"]) == 0
    by = "forbid_import of [runtime.sim] in isthmus.toml"
    first = [f"this environment: torch,jax ({by})", "isthmus serve: torch,jax"]
    assert capsys.readouterr().out.splitlines() == first + told
    monkeypatch.setenv(VARIABLE, "")
    assert main(["guard"]) == 0
    assert "isthmus serve: nothing\n" in capsys.readouterr().out


def test_without_a_manifest(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["guard"]) == 0
    assert "no isthmus.toml in " in capsys.readouterr().out
    assert main(["guard", "check", ".", "--runtime", "sim"]) == 2


def serve(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Serve a policy whose code imports a module of the simulator, which is there."""
    (folder / "pxr.py").write_text("raise SystemExit('pxr ran')\n", encoding="utf-8")
    (folder / "mine.py").write_text("import pxr\n", encoding="utf-8")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ISTHMUS_")}
    return subprocess.run(
        [sys.executable, "-m", "isthmus", "serve", "mine:policy", "--listen", "unix:g.sock"],
        cwd=folder,
        env={**environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_gateway_refuses_the_simulators_modules(tmp_path: Path) -> None:
    done = serve(tmp_path)
    assert done.returncode == 2
    assert "pxr must not be imported in this process: isthmus serve " in done.stderr
    assert "mine.py:1)\n  -> pxr\n" in done.stderr


def test_a_gateway_forbids_what_its_environment_says(tmp_path: Path) -> None:
    assert "pxr ran" in serve(tmp_path, ISTHMUS_FORBID_IMPORT="").stderr
    done = serve(tmp_path, ISTHMUS_FORBID_IMPORT="no module")
    assert done.returncode == 2
    assert done.stderr.startswith("isthmus: ISTHMUS_FORBID_IMPORT: expected the dotted name")


def test_the_hook_of_pre_commit_is_a_command_of_ours(project: Path, project_root: Path) -> None:
    text = (project_root / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^- id: (.*)$", text, re.MULTILINE) == ["isthmus-guard"]
    (entry,) = re.findall(r"^  entry: isthmus (.*)$", text, re.MULTILINE)
    assert main([*entry.split(), "main.py"]) == 0
    assert main([*entry.split(), "main.py", "sim.py"]) == 1
