"""The command line of `isthmus up`, `ps` and `down`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.cli import up
from isthmus.cli.main import main
from isthmus.errors import ManifestError
from isthmus.runtimes.placeholders import substitute
from isthmus.runtimes.plan import Plan
from isthmus.runtimes.settings import ProcessSettings


def words(*arguments: str) -> tuple[str | None, list[str], Path | None]:
    parser = argparse.ArgumentParser()
    up.configure(parser)
    args = parser.parse_args(arguments)
    name, more = up._words(args)
    return name, more, args.manifest


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), (None, [], None)),
        (("demo",), ("demo", [], None)),
        (("--", "--steps", "5"), (None, ["--steps", "5"], None)),
        (("demo", "--", "--", "x"), ("demo", ["--", "x"], None)),
        (
            ("--manifest", "a", "demo", "--", "--manifest", "b"),
            ("demo", ["--manifest", "b"], Path("a")),
        ),
        (("demo", "--manifest", "a"), ("demo", [], Path("a"))),
    ],
)  # fmt: skip
def test_what_is_whose(
    arguments: tuple[str, ...], expected: tuple[str | None, list[str], Path | None]
) -> None:
    assert words(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("demo more", "demo -- more"),
        ("demo demo", "demo -- demo"),
        ("demo --steps 5", "demo -- --steps 5"),
        ("demo --steps 5 -- --more", "demo -- --steps 5 --more"),
        ("demo --manifest a x", "demo --manifest a -- x"),
    ],
)
def test_what_is_the_main_process_s_goes_after_two_dashes(
    arguments: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        words(*arguments.split())
    said = capsys.readouterr().err
    assert said == (
        "usage: isthmus up [--manifest FILE] [RUN] [-- ARGS ...]\n"
        f"isthmus up: error: arguments of the main process go after --: isthmus up {meant}\n"
    )


def test_an_option_that_is_nobody_s_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        words("--steps", "5")
    assert "[-- ARGS ...]\n" in capsys.readouterr().err


def test_arguments_go_to_the_main_process_as_they_are() -> None:
    gateway, sim = (
        ProcessSettings("gateway", ("serve",)),
        ProcessSettings("sim", ("python", "a.py")),
    )
    plan = up.with_arguments(Plan("demo", "sim", (gateway, sim)), ["{x}", "a b"])
    assert plan.processes[0] == gateway
    command = [substitute(word, {}) for word in plan.processes[1].command]
    assert command == ["python", "a.py", "{x}", "a b"]


def test_arguments_without_a_main_process_are_refused() -> None:
    plan = Plan("demo", None, (ProcessSettings("a", ("a",)), ProcessSettings("b", ("b",))))
    assert up.with_arguments(plan, []) == plan
    with pytest.raises(ManifestError, match="has none"):
        up.with_arguments(plan, ["x"])


@pytest.mark.parametrize("command", ["up", "ps", "down"])
def test_without_a_manifest_the_status_is_2(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command]) == 2
    assert "isthmus init" in capsys.readouterr().err


@pytest.mark.parametrize("timeout", ["-1", "soon", "nan", "inf"])
def test_a_timeout_is_seconds(timeout: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["down", f"--timeout={timeout}"])
    assert "expected seconds of at least 0" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ps", "down"])
def test_looking_around_loads_no_event_loop(command: str) -> None:
    program = (
        f"import sys, isthmus.cli.{command}, isthmus.supervisor.registry\n"
        "print(*[m for m in ('asyncio', 'numpy', 'isthmus.supervisor.run') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("loaded", ["isthmus.cli.main", "isthmus.cli.up", "isthmus.supervisor.run"])
def test_an_interrupt_while_modules_are_loaded_is_quiet(loaded: str, tmp_path: Path) -> None:
    (tmp_path / "isthmus.toml").write_text("[process.a]\ncommand = ['x']\n", encoding="utf-8")
    program = f"""
import os, runpy, signal, sys
class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == {loaded!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ["up"]
runpy.run_module("isthmus", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) in ((-2, "", ""), (130, "", ""))
