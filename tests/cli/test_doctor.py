"""`isthmus doctor`: exit statuses, the screen, --quiet, --json, --explain, --fix."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.runtimes import Environment
from isthmus.runtimes.faults import FAULTS

SRE = "AssertionError: SRE module mismatch"


@pytest.fixture
def project(tmp_path: Path, newest_python: Environment, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy project, in the current folder of a healthy shell."""
    folder = tmp_path / "project"
    folder.mkdir()
    text = f'[runtime.policy]\npython = "{newest_python.python}"\n'
    (folder / "isthmus.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith(("PYTHON", "CONDA", "ROS", "AMENT", "LD_", "VIRTUAL_ENV", "ISTHMUS")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def foreign(environment: Environment) -> str:
    """A folder that is a standard library by its shape, of a version nobody has."""
    folder = Path.cwd() / "kit" / "python" / "lib" / "python3.1"
    (folder / "encodings").mkdir(parents=True)
    for name in ("os.py", "site.py"):
        (folder / name).write_text("raise AssertionError('SRE module mismatch')\n", "utf-8")
    return str(folder)


def test_healthy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"project  {project / 'isthmus.toml'}\n")
    assert "policy" in out
    assert out.endswith("No faults found.\n")
    assert main(["doctor", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_faults(
    project: Path,
    newest_python: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library = foreign(newest_python)
    monkeypatch.setenv("PYTHONPATH", library)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAULT  shell: " in out and "[foreign-stdlib]" in out
    assert "- In this shell: `unset PYTHONPATH`." in out
    assert "No faults found" not in out
    assert main(["doctor", "--quiet"]) == 1
    quiet = capsys.readouterr().out
    assert quiet.startswith("FAULT  shell: ")
    assert quiet in out


def test_json(
    project: Path,
    newest_python: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYTHONPATH", foreign(newest_python))
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert list(report) == [
        "format",
        "healthy",
        "manifest",
        "runtimes",
        "variables",
        "machine",
        "model_interface",
        "findings",
        "done",
    ]
    assert (report["format"], report["healthy"]) == (1, False)
    assert report["runtimes"][0]["version"] == newest_python.version
    (variable,) = report["variables"]
    assert variable["name"] == "PYTHONPATH" and variable["unset"] == "unset PYTHONPATH"
    (finding,) = report["findings"]
    assert list(finding) == [
        "id",
        "level",
        "where",
        "title",
        "evidence",
        "breaks",
        "fix",
        "mends",
    ]
    assert (finding["id"], finding["level"], finding["where"]) == (
        "foreign-stdlib",
        "fault",
        "shell",
    )


def test_a_manifest_that_says_something_wrong(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "isthmus.toml").write_text("[runtime.sim]\npyton = '3.11'\n", encoding="utf-8")
    assert main(["doctor"]) == 2
    assert "isthmus.toml:2" in capsys.readouterr().err


def test_without_a_manifest_it_looks_at_this_shell(
    project: Path,
    newest_python: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library = foreign(newest_python)
    (project / "isthmus.toml").unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["doctor"]) == 0
    assert "none: this shell and its Pythons" in capsys.readouterr().out
    monkeypatch.setenv("PYTHONPATH", library)
    assert main(["doctor", "--quiet"]) == 1
    assert "[foreign-stdlib]" in capsys.readouterr().out
    assert not (project / ".isthmus").exists()


def test_it_runs_in_the_shell_that_it_is_about(
    project: Path, oldest_python: Environment, newest_python: Environment
) -> None:
    """Started as its launcher does, in an environment in which no other Python starts."""
    environ = {**os.environ, "PYTHONHOME": "/nowhere", "PYTHONPATH": foreign(newest_python)}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "isthmus", "doctor", "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert sorted(each["id"] for each in report["findings"]) == ["foreign-stdlib", "pythonhome"]
    setters = {each["name"]: each["set_by"] for each in report["variables"]}
    # This test's own process was started without them.
    assert f"(process {os.getpid()})" in setters["PYTHONHOME"]


def test_fix_says_what_it_did(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".isthmus" / "up").mkdir(parents=True)
    (project / ".isthmus" / "up" / "r1.json").write_text("{}", encoding="utf-8")
    assert main(["doctor", "--fix"]) == 0
    assert "did: removed the record of run r1, which is over\n" in capsys.readouterr().out
    (project / ".isthmus" / "up" / "r2.json").write_text("{}", encoding="utf-8")
    assert main(["doctor", "--fix", "--quiet"]) == 0
    assert capsys.readouterr().out == "did: removed the record of run r2, which is over\n"
    assert main(["doctor", "--fix", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == []


def test_explain_names_the_fault_its_line_and_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    example = next(row for row in FAULTS if row.id == "foreign-stdlib").example
    text = f"{example}\nThere was an error running python\n"
    assert main(["doctor", "--explain", text]) == 0
    out = capsys.readouterr().out
    assert out.startswith("this Python loaded the standard library of another Python")
    assert f"  line 10: {SRE}\n" in out
    assert "  in /home/user/isaacsim/kit/python/lib/python3.11/re/_compiler.py\n" in out
    assert "`unset PYTHONPATH`" in out
    assert "also: python.sh says that something failed, and not what" in out


def test_explain_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = b"\xff\x1b[31msim | " + SRE.encode() + b"\x1b[0m\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["doctor", "--explain", "-", "--json"]) == 0
    (match,) = json.loads(capsys.readouterr().out)
    assert (match["id"], match["number"]) == ("foreign-stdlib", 1)
    assert match["line"].endswith(f"sim | {SRE}")
    assert match["fix"]


def test_explain_reads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(b"\xff" + SRE.encode())
    assert main(["doctor", "--explain", str(log)]) == 0
    assert "[foreign-stdlib]" in capsys.readouterr().out


def test_explain_of_something_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--explain", "all is well"]) == 1
    assert "No known fault" in capsys.readouterr().out
    assert main(["doctor", "--explain", "all is well", "--quiet"]) == 1
    assert main(["doctor", "--explain", "all is well", "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


def test_explain_of_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert main(["doctor", "--explain", "-"]) == 2
    assert "expected a traceback" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nosuch.log", "logs/nosuch", "."])
def test_explain_says_when_there_is_no_such_log(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["doctor", "--explain", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"isthmus: cannot read {name}: ")
    assert main(["doctor", "--explain", "ModuleNotFoundError: No module named 'encodings'"]) == 0


def test_another_manifest(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.parent / "elsewhere").mkdir()
    monkeypatch.chdir(project.parent / "elsewhere")
    assert main(["doctor", "--manifest", "../project/isthmus.toml"]) == 0
    assert str(project / "isthmus.toml") in capsys.readouterr().out
    assert (project / ".isthmus").is_dir()
    assert main(["run", "--manifest", "../project/isthmus.toml", "--print", "policy", "true"]) == 0


def test_an_environment_that_is_not_built_is_told_once_and_is_no_fault(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[runtime.policy]\npython = ">=3.10"\nrequirements = ["numpy"]\n'
    (project / "isthmus.toml").write_text(text, encoding="utf-8")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "NOTE  runtime policy: the environment is not built yet" in out
    assert out.count("doctor --fix") == 1


def test_lines_of_the_table_are_no_longer_than_they_must_be(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "env" / "bin").mkdir(parents=True)
    (project / "env" / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
    (project / "env" / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    (project / "isthmus.toml").write_text('[runtime.policy]\npython = "env"\n')
    main(["doctor"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "  venv " in line]
    assert line.endswith("  virtual environment env")


def test_a_program_that_reads_the_report_gets_json_also_without_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "isthmus.toml").write_text("a = 1\n", encoding="utf-8")
    assert main(["doctor", "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["format"] == 1 and "unknown key 'a'" in said["error"]
