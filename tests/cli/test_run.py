"""`isthmus run`: its words, what it says it would do, and what it says when that is impossible."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from isthmus.cli import run as command
from isthmus.cli.main import command_parser, main
from isthmus.errors import Error
from isthmus.runtimes import state as state_module
from isthmus.runtimes.launch import Launch

PYTHON = sys.executable


def words_of(*argv: str) -> tuple[str | None, str, list[str]]:
    args = command_parser("run").parse_args(argv)
    name, words = command.split_words(args.words, named=args.python is None)
    return args.python, name, words


@pytest.mark.parametrize(
    "argv",
    [
        "sim -- python x.py --flag -- more",
        "sim python x.py --flag -- more",
    ],
)
def test_a_runtime_and_a_command(argv: str) -> None:
    expected = ["python", "x.py", "--flag", "--", "more"]
    assert words_of(*argv.split()) == (None, "sim", expected)


@pytest.mark.parametrize(
    "argv",
    [
        "--python 3.11 -- python x.py --print",
        "--python 3.11 python x.py --print",
        "--python=3.11 -- python x.py --print",
    ],
)
def test_a_python_and_a_command(argv: str) -> None:
    assert words_of(*argv.split()) == ("3.11", "", ["python", "x.py", "--print"])


def test_options_of_the_command_are_its_own() -> None:
    assert words_of("sim", "--", "python", "--python", "x", "--print", "-h") == (
        None,
        "sim",
        ["python", "--python", "x", "--print", "-h"],
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "the name of a runtime"),
        ("--", "the name of a runtime"),
        ("sim", "a command to start"),
        ("sim --", "a command to start"),
        ("sim --print python", "options come first"),
        ("--python 3.11", "a command to start"),
        ("--python 3.11 --", "a command to start"),
    ],
)
def test_words_that_are_missing(argv: str, expected: str) -> None:
    with pytest.raises(Error, match=expected) as caught:
        words_of(*argv.split())
    assert "isthmus run NAME -- COMMAND" in str(caught.value)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one runtime, this Python; the current folder is inside it."""
    (tmp_path / "isthmus.toml").write_text(
        f'[runtime.sim]\npython = "{PYTHON}"\nmust_import = ["json"]\n'
        'pythonpath = ["src"]\nenv = { set = { ANSWER = "42" } }\n'
    )
    inner = tmp_path / "src" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    for name in ("PYTHONPATH", "PYTHONHOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_print_says_all_and_starts_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/other/lib/python3.4")
    monkeypatch.setenv("VIRTUAL_ENV", "/other/env")
    monkeypatch.setenv("PATH", f"/other/env/bin:{os.defpath}")
    assert main(["run", "--print", "sim", "--", "python", "-c", "open('ran', 'w')", "it's"]) == 0
    assert not (project / "src" / "deep" / "ran").exists()
    printed = capsys.readouterr().out
    assert printed.startswith(f"start    {PYTHON} -c ")
    assert "\npython   {}.{}.{} (".format(*sys.version_info[:3]) in printed
    for line in (
        "set      ANSWER=42",
        "set      PYTHONNOUSERSITE=1",
        "set      ISTHMUS_RUNTIME=sim",
        f"set      PYTHONPATH={project}/.isthmus/path/",
        "dropped  PYTHONPATH=/other/lib/python3.4\n         import folders",
        "dropped  VIRTUAL_ENV=/other/env\n         a virtual environment",
        "dropped  /other/env/bin, of PATH\n         inside VIRTUAL_ENV=/other/env",
    ):
        assert f"\n{line}" in printed
    assert f":{project}/src\n" in printed
    assert "HOME" not in printed  # what passes as it is, is not news


def run_in(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    program = [PYTHON, "-m", "isthmus", "run", *argv]
    source = str(Path(command.__file__).parents[2])
    return subprocess.run(
        program,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source, "XDG_CACHE_HOME": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_runs_in_the_callers_folder(project: Path) -> None:
    program = "import os; print(os.getcwd(), os.environ['ANSWER'])"
    done = run_in(project / "src" / "deep", "sim", "--", "python", "-c", program)
    assert (done.stdout, done.stderr) == (f"{project}/src/deep 42\n", "")
    assert (project / ".isthmus" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("empty", [{"XDG_CACHE_HOME": "", "HOME": ""}, {"XDG_CACHE_HOME": "c"}])
def test_a_cache_that_is_no_place_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(state_module, "_registered_home", lambda: str(tmp_path / "home"))
    monkeypatch.delenv("HOME")
    for name, value in empty.items():
        monkeypatch.setenv(name, value)
    expected = tmp_path / "home" / ".cache" / "isthmus"
    assert command._of_option(PYTHON, os.environ)[1].root == expected


@pytest.mark.parametrize("python", [PYTHON, "{}.{}".format(*sys.version_info[:2])])
def test_without_a_manifest_it_keeps_things_in_the_users_cache(tmp_path: Path, python: str) -> None:
    program = "import sys; print(sys.version_info[:2])"
    done = run_in(tmp_path, "--python", python, "--", "python", "-c", program)
    assert (done.stdout, done.stderr) == (f"{sys.version_info[:2]}\n", "")
    assert sorted(os.listdir(tmp_path)) == ["cache"]
    assert os.listdir(tmp_path / "cache") == ["isthmus"]


def test_a_relative_python_is_seen_from_here(tmp_path: Path) -> None:
    (tmp_path / "environment").symlink_to(Path(PYTHON).parent.parent)
    program = "import sys; print(sys.executable)"
    done = run_in(tmp_path, "--python", "environment/bin/python", "--", "python", "-c", program)
    assert (done.stdout, done.stderr) == (f"{tmp_path}/environment/bin/python\n", "")


@pytest.mark.parametrize(
    ("argv", "status", "expected"),
    [
        (["nope"], 127, "nope: command not found on PATH (/"),
        (["plain.txt"], 127, "for the file here, write python plain.txt"),
        (["./nope"], 127, "/nope: no such file"),
        (["./plain.txt"], 126, "/plain.txt: permission denied"),
        (["./headless"], 126, "/headless: not a program, and without a #! line"),
        (["./orphan"], 127, "/orphan: what its #! line names is not there"),
        (["/"], 126, "/: is a folder"),
        (["./plain.txt/x"], 126, "not a directory"),
    ],
)
def test_what_cannot_be_started(project: Path, argv: list[str], status: int, expected: str) -> None:
    here = project / "src" / "deep"
    (here / "plain.txt").write_text("hello")
    for name, text in (("headless", "hello"), ("orphan", "#!/no/such/shell\n")):
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    done = run_in(here, "sim", "--", *argv)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("isthmus: ")
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr


def launch_of(executable: str, argv: Sequence[str] = ("x",)) -> Launch:
    return Launch(tuple(argv), Path(executable), {}, None, ())


def test_a_reason_we_did_not_think_of_is_the_systems() -> None:
    error = OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    assert command.why_not(launch_of("/bin/sh"), error) == ("/bin/sh: argument list too long", 126)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["smi", "--", "python"], "has no runtime 'smi', only: sim; did you mean sim?"),
        (["gateway", "--", "python"], "has no runtime 'gateway', only: sim\n"),
        (["--python", "/no/such/python", "--", "python"], '--python "/no/such/python": there is'),
        (["--python", "/bin/ls", "--", "python"], "--python /bin/ls (named by its path) ended"),
        (["--python", ">=4", "--", "python"], ">=4"),
        (["sim", "--", "python3.4"], "python3.4 is not the Python of runtime sim"),
    ],
)
def test_errors_are_ours(project: Path, argv: list[str], expected: str) -> None:
    done = run_in(project, *argv)
    assert done.returncode == 2
    assert done.stderr.startswith("isthmus: ")
    assert expected in done.stderr


def test_outside_a_project(tmp_path: Path) -> None:
    done = run_in(tmp_path, "sim", "--", "python")
    assert done.returncode == 2
    assert "isthmus.toml" in done.stderr
    assert "isthmus init" in done.stderr


def test_from_a_folder_that_is_gone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["run", "sim", "--", "python"]) == 2


def test_a_checkout_without_an_environment_takes_what_is_on_path(tmp_path: Path) -> None:
    root = Path(command.__file__).parents[3]
    scripts = tmp_path / "check out" / "scripts"
    scripts.mkdir(parents=True)
    (scripts.parent / "src").symlink_to(root / "src")
    (scripts / "isthmus").write_bytes((root / "scripts" / "isthmus").read_bytes())
    (scripts / "isthmus").chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()

    def version(*pythons: str) -> subprocess.CompletedProcess[str]:
        for name, text in zip(("python3", "python3.13", "python3.11"), pythons, strict=False):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        return subprocess.run(
            ["./isthmus", "--version"],
            cwd=scripts,
            env={"PATH": str(tools), "PYTHONHOME": "/nowhere"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    done = version("exit 1", "exit 127")  # neither is there a readlink on PATH
    assert done.returncode == 2
    assert done.stderr == "isthmus: expected a Python >= 3.10 on PATH, found none\n"
    done = version("exit 1", "exit 127", f'exec {PYTHON} "$@"')
    assert (done.stdout[:8], done.stderr) == ("isthmus ", "")
