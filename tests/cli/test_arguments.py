"""What is refused before any work, in one line that names the option."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.bare import bare_model

from isthmus.cli import arguments
from isthmus.cli.main import main

SOURCE = """
from isthmus.contract import ActionField, Contract, Field
def hold():
    def policy(observation):
        return {"a": observation["q"]}
    fields = (Field("q", (1,), "float32"),), (ActionField("a", (1,), "float32", fallback="zero"),)
    policy.contract = Contract("held", *fields, 40_000_000)
    return policy
"""


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert main([*map(str, argv)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("isthmus: ") and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("command", "option", "message"),
    [
        ("serve", "--threads=-1", "--threads: expected a number at least 1, got -1"),
        ("serve", "--max-sessions=0", "--max-sessions: expected a number at least 1, got 0"),
        ("serve", "--deadline-ms=nan", "--deadline-ms: expected a number from 0 to 3600000"),
        ("evaluate", "--episodes=0", "--episodes: expected a number at least 1, got 0"),
        ("evaluate", "--seed=-5", "--seed: expected a number from 0 to"),
        ("evaluate", "--at-least=70", "--at-least: expected a number from 0 to 1, got 70.0"),
        ("evaluate", "--at-least=nan", "--at-least: expected a number from 0 to 1, got nan"),
    ],
)
def test_numbers_that_cannot_be(
    command: str, option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, command, "no_such_module:policy", option)
    assert message in text
    assert text.count("--") == 1


def test_a_result_that_cannot_be_written_is_said_before_the_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, words in ((tmp_path / "nope" / "x.json", "no folder"), (tmp_path, "is a folder")):
        text = refused(capsys, "evaluate", "no_such_module:policy", "--json", path)
        assert "--json" in text and words in text


@pytest.mark.parametrize("url", ["foo", "memory:constant", "http://h:1", ""])
def test_what_nobody_can_listen_on_is_not_offered(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, "serve", "no_such_module:policy", "--listen", url)
    assert f"--listen {url}: expected shm:PATH, unix:PATH or tcp://HOST:PORT" in text


def test_an_address_without_its_scheme_is_completed(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "serve", "no_such_module:policy", "--listen", "127.0.0.1:45200")
    assert text.endswith("; did you mean tcp://127.0.0.1:45200?\n")


def test_evaluate_takes_the_contract_it_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mujoco")
    from isthmus.contract.text import dumps
    from isthmus.sim.mujoco import contract

    assert "--contract FILE" in refused(capsys, "evaluate", "constant")
    path = tmp_path / "arm.json"
    path.write_text(dumps(contract()), encoding="utf-8")
    argv = ["evaluate", "constant", "--contract", str(path), "--episodes", "1"]
    assert main(argv) == 0
    assert "0.0% of 1 episodes" in capsys.readouterr().out


def test_evaluate_exports_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mujoco")
    from isthmus.contract.text import dumps
    from isthmus.sim.mujoco import contract

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ours = contract()
    inputs, outputs = (
        sum(field.width for field in each) for each in (ours.observation, ours.action)
    )
    model = bare_model(tmp_path / "bare.onnx", inputs, outputs)
    path = tmp_path / "arm.json"
    path.write_text(dumps(ours), encoding="utf-8")
    argv = ["evaluate", str(model), "--contract", str(path), "--episodes", "1"]
    assert main(argv) == 0
    assert "bare (onnx): " in capsys.readouterr().out


def test_evaluate_names_the_packages_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "isthmus.sim.mujoco", None)
    text = refused(capsys, "evaluate", "constant")
    assert "`pip install mujoco gymnasium` in this Python" in text
    assert 'add "mujoco", "gymnasium" to `requirements`' in text


def test_code_beside_the_user_is_found_by_the_console_script(tmp_path: Path) -> None:
    (tmp_path / "pilot_here.py").write_text(SOURCE)
    # A script's own folder leads the path, not the current one: that is how an entry point starts.
    script = tmp_path / "bin" / "isthmus"
    script.parent.mkdir()
    script.write_text("import sys\nfrom isthmus.cli.main import main\nsys.exit(main())\n")
    child = subprocess.Popen(
        [sys.executable, str(script), "serve", "pilot_here:hold", "--listen", "tcp://127.0.0.1:0"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("policy pilot_here:hold (callable)")
    finally:
        child.terminate()
        child.communicate(timeout=30)


def test_the_folder_is_added_for_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [path for path in sys.path if path not in ("", os.getcwd())]
    monkeypatch.setattr(sys, "path", list(plain))
    arguments.find_code_here(["reach.onnx", "constant:0", "unix:s.sock", "tcp://127.0.0.1:1"])
    assert sys.path == plain
    for _ in range(2):
        arguments.find_code_here(["reach.onnx", "pkg.mod:factory"])
        assert sys.path == [os.getcwd(), *plain]


@pytest.mark.parametrize("kind", ["pipe", "link", "device"])
def test_a_report_replaces_nothing_but_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    for option, name in (("--prometheus-textfile", "m.prom"), ("--log-dir", "ipc_metrics.json")):
        place = tmp_path / name
        if kind == "pipe":
            os.mkfifo(place)
        else:
            place.symlink_to(tmp_path / "file" if kind == "link" else "/dev/null")
        before = os.lstat(place).st_mode, os.lstat(place).st_ino
        value = place if option.startswith("--p") else tmp_path
        text = refused(capsys, "serve", "constant", option, value)
        assert f"{option}: {place} is no regular file" in text
        assert (os.lstat(place).st_mode, os.lstat(place).st_ino) == before
