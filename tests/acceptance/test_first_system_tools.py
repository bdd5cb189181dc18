"""The tools beside the gateway: measuring, and looking for drift."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .processes import Gateway, run_script


def test_bench_transport(tmp_path: Path) -> None:
    arguments = ("--mode", "tcp", "--joints", "6", "--iterations", "20", "--warmup", "5")
    done = run_script("bench_transport.py", *arguments, "--csv", "out.csv", cwd=tmp_path)
    assert (done.returncode, "p95" in done.stdout) == (0, True), done.stderr
    assert len(table(tmp_path / "out.csv")) >= 1


def test_measure_round_trip(gateway: Gateway, tmp_path: Path) -> None:
    _, port = gateway.address
    arguments = ("--port", f"{port}", "--iters", "20", "--q-dim", "6", "--csv", "out.csv")
    done = run_script("measure_round_trip.py", *arguments, cwd=tmp_path)
    assert (done.returncode, "p95" in done.stdout) == (0, True), done.stderr
    assert len(table(tmp_path / "out.csv")) == 20


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as a spreadsheet reads them."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of mismatches in two clusters, an hour apart, written by the first system."""
    path = tmp_path_factory.mktemp("drift") / "hash_mismatch_events.jsonl"
    lines = [(100.0 + n, "a", "b") for n in range(4)] + [(3700.0 + n, "a", "c") for n in range(2)]
    text = "".join(
        json.dumps({"ts": ts, "corr_id": f"{ts}", "expected": e, "actual": a}) + "\n"
        for ts, e, a in lines
    )
    path.write_text(text)
    return path


def test_analyze_hash_drift(drifting: Path, tmp_path: Path) -> None:
    done = run_script(
        "analyze_hash_drift.py", "--file", str(drifting), "--cluster-gap", "60", "--top", "5",
        "--csv", "out.csv", "--json", "out.json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "6" in done.stdout and "a -> b" in done.stdout and "a -> c" in done.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["clusters"]) == 2
    assert table(tmp_path / "out.csv")


def test_analyze_hash_drift_quietly(drifting: Path, tmp_path: Path) -> None:
    arguments = ("--file", str(drifting), "--quiet", "--json", "out.json")
    done = run_script("analyze_hash_drift.py", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out.json").exists()
