"""The command table, and what every command's errors and signals turn into."""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import isthmus
from isthmus.cli import main as cli
from isthmus.errors import Error, PolicyLoadError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command of one argument, `probe NUMBER`, that exits with the number."""
    module = ModuleType("probe_command", "Say a number.\n\nMore about it.")
    module.configure = lambda parser: parser.add_argument("number", type=int)  # type: ignore[attr-defined]
    module.run = lambda args: args.number  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("probe_command", "say a number"))
    return module


def raising(module: ModuleType, error: BaseException) -> None:
    def run(args: argparse.Namespace) -> int:
        raise error

    module.run = run  # type: ignore[attr-defined]


def test_the_status_is_the_commands(command: ModuleType) -> None:
    assert cli.main(["probe", "0"]) == 0
    assert cli.main(["probe", "7"]) == 7


def test_an_error_is_one_readable_line_and_status_2(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(command, PolicyLoadError("reach.onnx: expected a manifest, found none"))
    assert cli.main(["probe", "0"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "isthmus: reach.onnx: expected a manifest, found none\n"
    assert printed.out == ""


def test_an_error_without_words_is_named(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(command, Error())
    assert cli.main(["probe", "0"]) == 2
    assert capsys.readouterr().err == "isthmus: Error\n"


def test_a_python_without_numpy_is_one_line_that_says_where_to_add_it(
    command: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_RUNTIME", "policy")
    raising(command, ModuleNotFoundError("No module named 'numpy'", name="numpy"))
    assert cli.main(["probe", "0"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and sys.executable in said
    assert 'requirements = ["numpy"] to [runtime.policy]' in said
    raising(command, ModuleNotFoundError("No module named 'nimpy'", name="nimpy"))
    with pytest.raises(ModuleNotFoundError, match="nimpy"):
        cli.main(["probe", "0"])


def test_a_fault_of_ours_is_not_hidden(command: ModuleType) -> None:
    raising(command, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe", "0"])


def test_interrupted(command: ModuleType) -> None:
    raising(command, KeyboardInterrupt())
    assert cli.main(["probe", "0"]) == 130


def test_arguments_that_do_not_fit(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["probe", "many"])
    assert stopped.value.code == 2
    assert "usage: isthmus probe" in capsys.readouterr().err


def test_the_commands_help_is_its_own(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["probe", "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "Say a number." in printed
    assert "More about it." not in printed


@pytest.mark.parametrize("arguments", [[], ["fly"], ["--fly"]])
def test_no_such_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: isthmus" in capsys.readouterr().err


def test_without_a_command_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["fly"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(arguments)
        printed = capsys.readouterr()
        assert printed.out == ""
        for name, row in cli.COMMANDS.items():
            assert f"  {name} " in printed.err and row.help in printed.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("runn", "run"), ("srve", "serve"), ("Doctor", "doctor")]
)
def test_a_slip_is_answered_with_the_nearest_command(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([typed])
    words = f"there is no command '{typed}'; did you mean `isthmus {meant}`?"
    assert words in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fly"])
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("serve --polciy x", "isthmus serve: there is no option --polciy; did you mean --policy? "),
        ("serve --log-dri=x", "--log-dri; did you mean --log-dir? `isthmus serve --help` lists"),
        ("guard check --jsno .", "isthmus guard: there is no option --jsno; did you mean --json? "),
        ("ps --qqq", "isthmus ps: there is no option --qqq; `isthmus ps --help` lists all"),
    ],
)
def test_a_slip_in_an_option_is_answered_in_a_line(
    typed: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(typed.split())
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_a_command_as_another_program(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", type=int, help="how large; default 7")
        parser.add_argument("--way", help="which way")

    command.configure = configure  # type: ignore[attr-defined]
    command.run = lambda args: args.size  # type: ignore[attr-defined]
    variant = cli.Variant("old.py", "As it was.", {"size": 9}, {"way": "ours"})
    assert cli.main(["probe"], variant=variant) == 9
    assert cli.main(["probe", "--size=3"], variant=variant) == 3
    with pytest.raises(SystemExit, match="0"):
        cli.main(["probe", "--help"], variant=variant)
    told = capsys.readouterr().out
    assert "usage: old.py " in told and "As it was." in told and " probe" not in told
    assert "how large; default 9" in told and "ours" in told and "default 7" not in told


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_is_no_error_of_the_command(lines: int) -> None:
    program = (
        "import sys, types; from isthmus.cli import main as cli; "
        "found = sys.modules['probe'] = types.ModuleType('probe', 'Say much.'); "
        "found.configure = lambda parser: None; "
        f"found.run = lambda args: print('much\\n' * {lines}) or 0; "
        "cli.COMMANDS['probe'] = cli.Command('probe', ''); sys.exit(cli.main(['probe']))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "name",
    ["serve", "contract", "evaluate", "up", "ps", "down", "logs", "drift", "bench", "export"],
)
def test_help_says_what_the_exit_status_means(
    name: str, project_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert "exit status: " in capsys.readouterr().out
    page = (project_root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert "xit status: " in page.split(f"\n## isthmus {name}\n")[1].split("\n## ")[0]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for name, row in cli.COMMANDS.items():
        assert name in printed
        assert row.help in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"isthmus {isthmus.__version__}\n"


def test_as_a_module_it_loads_no_command() -> None:
    program = (
        "import sys; from isthmus.cli.main import top_parser; top_parser(); "
        "print([m for m in sys.modules if m.startswith('isthmus.') or m == 'numpy'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(ast.literal_eval(done.stdout)) == {
        "isthmus.cli",
        "isthmus.cli.main",
        "isthmus.errors",
        "isthmus.version",
    }


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert f"usage: isthmus {name}" in capsys.readouterr().out


GONE = "import os, sys; os.rmdir(os.getcwd()); from isthmus.cli.main import main; sys.exit(main())"


@pytest.mark.parametrize("command", ["init", "doctor", "guard check .", "guard", "up", "ps"])
def test_a_folder_that_was_removed_is_said_in_one_line(command: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    start = [sys.executable, "-c", GONE, *command.split()]
    done = subprocess.run(start, cwd=gone, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the current folder was removed" in done.stderr and done.stderr.count("\n") == 1


def test_closed_streams_and_names_without_letters_are_no_trouble() -> None:
    start = [sys.executable, "-m", "isthmus", "guard"]
    closed = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *start])
    assert closed.returncode == 0
    environ = {
        **os.environ,
        "ISTHMUS_FORBID_IMPORT": "omni.\N{SNOWMAN}",
        "PYTHONIOENCODING": "ascii",
    }
    shown = subprocess.run(start, env=environ, capture_output=True, text=True)
    assert shown.returncode == 0 and "omni.\\u2603" in shown.stdout
