"""The command line of `isthmus up`, `ps` and `down`."""

from __future__ import annotations

import argparse
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


@pytest.mark.parametrize("arguments", [("demo", "more"), ("demo", "--steps", "5"), ("--steps",)])
def test_what_is_nobody_s_is_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        words(*arguments)
    assert "unrecognized arguments" in capsys.readouterr().err


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
    import subprocess

    program = (
        f"import sys, isthmus.cli.{command}, isthmus.supervisor.registry\n"
        "print(*[m for m in ('asyncio', 'numpy', 'isthmus.supervisor.run') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
