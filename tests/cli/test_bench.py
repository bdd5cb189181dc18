"""`isthmus bench`, and the two scripts that the first operators had."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.contracts import pair
from tests.support.gateways import ROOT, serving
from tests.support.policies import half, policy

from isthmus.bench.cases import PAYLOADS
from isthmus.cli.main import main

FEW = ["--iterations", "3", "--warmup", "1", "--rounds", "1"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_private_run_is_shown_saved_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--csv", str(tmp_path / "r.csv"), "--json", str(tmp_path / "r.json")]
    memory = ["bench", "--transport", "memory", *FEW]
    assert main([*memory, "--payload", "small", *files]) == 0
    shown = capsys.readouterr().out
    assert "memory" in shown and "1.00x" in shown
    assert (tmp_path / "r.csv").read_text().count("\n") == 2
    assert (tmp_path / "cache" / "isthmus" / "bench.json").is_file()
    assert main([*memory, "--payload", "small", "--compare", str(tmp_path / "r.json")]) == 0
    assert "new / old" in capsys.readouterr().out


def test_json_on_standard_output_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--transport", "memory", "--joints", "4", *FEW, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["payload"] == "joints4"


def test_a_running_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(policy(half, pair())) as served:
        assert main(["bench", served.tcp, "--transport", "json,tcp", *FEW]) == 0
        assert main(["bench", served.tcp, "--joints", "2", "--transport", "tcp", *FEW]) == 0
        assert main(["bench", served.tcp, "--joints", "3", *FEW]) == 2
    shown = capsys.readouterr()
    assert "contract" in shown.out
    assert "has shape (2,)" in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--transport", "pigeon"], "--transport: expected names of memory, shm"),
        (["--payload", "letter"], "--payload: expected names of small"),
        (["--payload", "small", "--joints", "3"], "exclude each other"),
        (["--iterations", "0"], "--iterations: expected a number"),
        (["--hz", "nan"], "--hz: expected a number"),
        (["--policy", "x"], "--policy is for a running gateway"),
        (["memory:constant"], "expected shm:PATH"),
        (["unix:x", "--payload", "small"], "--payload is for a private gateway"),
        (["--compare", "/nowhere.json"], "cannot be read"),
        (["--csv", "/nowhere/at/all.csv"], "--csv"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_what_was_finished_is_kept_when_somebody_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from isthmus.bench import measure as measuring

    measure, calls = measuring.measure, iter([None])

    def interrupted(*arguments: Any) -> Any:
        if next(calls, "again"):
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(measuring, "measure", interrupted)
    file = tmp_path / "r.json"
    assert main(["bench", "--transport", "memory", *FEW, "--json", str(file)]) == 130
    shown = capsys.readouterr()
    assert "small" in shown.out and "interrupted" in shown.err
    assert [row["payload"] for row in json.loads(file.read_text())["rows"]] == ["small"]


def test_large_payloads_are_not_asked_for_in_json_unless_that_is_wanted() -> None:
    assert PAYLOADS["small"].typed_by_hand and PAYLOADS["envs64"].typed_by_hand
    assert not PAYLOADS["envs4096"].typed_by_hand and not PAYLOADS["images"].typed_by_hand


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_bench_transport_takes_the_first_systems_flags(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    done = script(
        "bench_transport.py", "--mode", "memory,json", "--joints", "5", "--iterations", "3",
        "--warmup", "1", "--csv", str(file),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = file.read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["memory", "joints5"],
        ["json", "joints5"],
    ]


def test_measure_round_trip_writes_a_line_for_each_step(tmp_path: Path) -> None:
    file = tmp_path / "steps.csv"
    with serving(policy(half, pair())) as served:
        port = served.tcp.rpartition(":")[2]
        done = script(
            "measure_round_trip.py", "--port", port, "--iters", "4", "--q-dim", "2",
            "--csv", str(file),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(file.read_text().splitlines()) == 1 + 4
