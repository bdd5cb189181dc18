"""Results as files, and two of them side by side."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.bench.cases import Case
from isthmus.bench.compare import compare
from isthmus.bench.kept import keep, kept
from isthmus.bench.machine import fingerprint
from isthmus.bench.result import document, read_document, save_csv, save_document, save_samples
from isthmus.bench.rows import Row, Settings
from isthmus.bench.table import change_table, result_table
from isthmus.errors import RecordError

SAMPLES = np.arange(1, 101, dtype=np.int64) * 1000


def rows(scale: int = 1) -> list[Row]:
    stages = {"encode": 1e3, "wire": 2e3, "queue": 3e3, "infer": 4e3, "decode": 5e3, "total": 15e3}
    return [
        Row(Case("shm", "small", "unix:x"), "shm", SAMPLES * scale, stages, 3),
        Row(Case("tcp", "small", "tcp://h:1"), "", np.zeros(0, np.int64), {}, 0, "not here"),
    ]


def found(scale: int = 1, **machine: Any) -> dict[str, Any]:
    return document(rows(scale), Settings(iterations=100), {**fingerprint(), **machine})


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    written = found()
    save_document(file, written)
    assert read_document(file) == json.loads(json.dumps(written))
    shm, tcp = written["rows"]
    assert shm["us"]["p50"] == 50.5
    assert shm["us"]["max"] == 100.0
    assert (shm["missed"], shm["steps"]) == (3, 103)
    assert tcp["left_out"] == "not here"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"bench_version": 2}', '{"bench_version": 1}', '{"bench_version":1,"machine":'
     '{},"rows":[{"transport":"a","payload":"b","us":{"p50":0}}]}',
     '{"bench_version":1,"machine":{},"rows":[{"transport":["a"],"payload":"b"}]}',
     '{"bench_version":1,"machine":{},"rows":[{"transport":"\\u001b[31m","payload":"b"}]}'],
)  # fmt: skip
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    with pytest.raises(RecordError, match="old.json"):
        read_document(file)


def test_csv_has_a_line_per_row_and_samples_one_per_step(tmp_path: Path) -> None:
    save_csv(tmp_path / "rows.csv", rows())
    with (tmp_path / "rows.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert (line["transport"], line["steps"], line["p50_us"]) == ("shm", "103", "50.500")
    save_samples(tmp_path / "samples.csv", rows())
    lines = (tmp_path / "samples.csv").read_text().splitlines()
    assert len(lines) == 101
    assert lines[-1] == "shm,small,99,100.000"


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be written"):
        save_csv(tmp_path / "nowhere" / "rows.csv", rows())


def test_ratios_of_two_results() -> None:
    changes, remarks = compare(found(2), found(3))
    (change,) = changes
    assert change.ratios["p50"] == pytest.approx(1.5)
    assert [remark.split(" in the ")[0] for remark in remarks] == ["steps not answered in time"] * 2
    assert "1.50x" in change_table(changes)


def test_another_machine_is_no_comparison() -> None:
    _, remarks = compare(found(cpu="another"), found())
    assert "no comparison" in remarks[0]
    assert any("another" in remark for remark in remarks)


def test_rows_of_one_result_alone_are_named() -> None:
    old = found()
    old["rows"] = [{**old["rows"][0], "payload": "images"}]
    changes, remarks = compare(old, found())
    assert changes == []
    assert remarks[2:] == [
        "only in the old result: shm, images",
        "only in the new result: shm, small",
    ]


def test_the_table_shows_what_was_measured_missed_and_left_out() -> None:
    text = result_table(rows(), Settings(iterations=200))
    assert "3 of 103 not answered in time" in text
    assert "103 steps in 5 s" in text
    assert "tcp      left out: not here" in text


def test_a_result_is_kept_for_this_machine_only(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    assert kept(environ) == {}
    keep(environ, found())
    assert kept(environ) == {"shm": pytest.approx(95.05)}
    keep(environ, found(cpu="another"))
    assert kept(environ) == {}


def test_a_result_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "isthmus").write_text("a file")
    keep({"XDG_CACHE_HOME": str(tmp_path)}, found())
    assert kept({"XDG_CACHE_HOME": str(tmp_path)}) == {}
