"""`isthmus drift`, and the first tool's script over it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from isthmus.cli.main import main

LINES = [
    {"ts": 100.0, "corr_id": "1", "expected": "aaa", "actual": "bbb"},
    {"ts": 101.0, "corr_id": "2", "expected": "aaa", "actual": "bbb"},
    {"ts": 500.0, "corr_id": "3", "expected": "aaa", "actual": "ccc", "session": "s-1",
     "key": "mass[2]", "expected_value": 0.5, "actual_value": 0.625, "obs_seq": 77},
]  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "hash_mismatch_events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    return path


def test_the_report(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "--file", str(log)]) == 0
    out, err = capsys.readouterr()
    assert "3 mismatches in 2 sessions" in out and err == ""
    assert "mass[2] in session s-1 since 1970-01-01 00:08:20.000 UTC (observation 77)" in out
    assert "2  aaa -> bbb" in out and "2 clusters" in out


def test_the_log_is_looked_for_where_a_gateway_writes_it(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.parent.joinpath("logs").mkdir()
    log.rename(log.parent / "logs" / log.name)
    monkeypatch.chdir(log.parent)
    assert main(["drift"]) == 0
    assert "3 mismatches" in capsys.readouterr().out


def test_files_are_written_quietly(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {name: log.with_suffix(f".{name}") for name in ("csv", "json", "plot")}
    options = [word for name, path in made.items() for word in (f"--{name}", str(path))]
    assert main(["drift", "--file", str(log), "--quiet", "--cluster-gap", "1000", *options]) == 0
    assert capsys.readouterr() == ("", "")
    found = json.loads(made["json"].read_text(encoding="utf-8"))
    assert (found["total"], found["cluster_gap"], len(found["clusters"])) == (3, 1000, 1)
    rows = list(csv.DictReader(made["csv"].read_text(encoding="utf-8").splitlines()))
    assert [r["count"] for r in rows if r["kind"] == "transition"] == ["2", "1"]
    assert ElementTree.parse(made["plot"]).getroot().tag.endswith("svg")


def test_a_dash_prints_it_instead(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "--file", str(log), "--json", "-", "--top", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["transitions_total"], len(found["transitions"])) == (2, 1)


def test_an_empty_log_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert main(["drift", "--file", str(tmp_path / "empty.jsonl")]) == 0
    assert "no mismatch: every expected randomization was in force" in capsys.readouterr().out


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_another_log_is_told_as_one(
    tmp_path: Path, quiet: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.jsonl").write_text('{"a":1}\nnot json\n', encoding="utf-8")
    assert main(["drift", "--file", str(tmp_path / "other.jsonl"), *quiet]) == 2
    assert "no line is a hash mismatch; is it another log?" in capsys.readouterr().err


def test_what_is_damaged_is_said(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write('{"ts":1')
    log.with_name(f"{log.name}.20260101T000000Z.gz").write_bytes(b"no gzip")
    assert main(["drift", "--file", str(log)]) == 0
    out, err = capsys.readouterr()
    assert "1 line left out: torn, or no JSON" in out
    assert "not read to its end" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--file", "nowhere/x.jsonl"], "no such file; a gateway writes it at the first mismatch"),
        (["--cluster-gap", "0"], "--cluster-gap: expected a number at least"),
        (["--cluster-gap", "nan"], "--cluster-gap: expected a number at least"),
        (["--top", "0"], "--top: expected a number at least 1"),
        (["--csv", "no/such/folder.csv"], "--csv: no/such/folder.csv cannot be written"),
        (["--plot", "."], "--plot: . is a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    log: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drift", "--file", str(log), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_the_first_tools_script(log: Path, project_root: Path) -> None:
    out = log.with_suffix(".csv")
    command = [sys.executable, str(project_root / "scripts" / "analyze_hash_drift.py")]
    options = ["--file", str(log), "--cluster-gap", "10", "--top", "5", "--csv", str(out)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "aaa -> bbb" in done.stdout and out.read_text(encoding="utf-8").startswith("kind,")
    quiet = subprocess.run([*command, *options, "--quiet"], capture_output=True, check=True)
    assert quiet.stdout == quiet.stderr == b""
