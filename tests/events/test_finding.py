"""Which log a folder or a file means."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.rights import closed

from isthmus.errors import EventLogError
from isthmus.events.finding import find_log, is_part, newest_log
from isthmus.events.log import DEFAULT_NAME

PART = f"{DEFAULT_NAME}.20261118T110640Z"


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("name", [DEFAULT_NAME, PART, f"{PART}.gz", f"{PART}-3.gz"])
def test_a_folder_with_a_log(tmp_path: Path, name: str) -> None:
    touched(tmp_path / name)
    touched(tmp_path / "hash_mismatch_events.jsonl")
    touched(tmp_path / f".{DEFAULT_NAME}.lock")
    assert find_log(tmp_path) == tmp_path / DEFAULT_NAME


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    live = touched(tmp_path / "logs" / "other.jsonl")
    touched(tmp_path / "logs" / "gateway.log")
    assert find_log(tmp_path) == live


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    part = touched(tmp_path / f"{PART}.gz")
    assert find_log(part) == part and is_part(part)
    live = tmp_path / DEFAULT_NAME  # between a rotation and the next line
    assert find_log(live) == live and not is_part(live)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "there is no event log here; expected ipc_gateway_events.jsonl"),
        (["a.jsonl", "b.jsonl.20261118T110640Z"], "name one of a.jsonl, b.jsonl"),
    ],
)
def test_a_folder_that_leaves_it_open(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        touched(tmp_path / name)
    with pytest.raises(EventLogError, match=words):
        find_log(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match="there is no such folder or file"):
        find_log(tmp_path / "nowhere")
    with pytest.raises(EventLogError, match="there is no event log in .*logs/ nor in a run under"):
        newest_log(tmp_path / "logs", tmp_path / "runs")


def test_a_folder_that_may_not_be_looked_into(tmp_path: Path) -> None:
    folder = touched(tmp_path / "logs" / DEFAULT_NAME).parent
    with closed(folder), pytest.raises(EventLogError, match=r"cannot look into .*denied"):
        find_log(folder)


def test_the_newest_run_that_has_a_log(tmp_path: Path) -> None:
    logs, runs = tmp_path / "logs", tmp_path / "runs"
    touched(runs / "20261117T000000Z-a" / "logs" / DEFAULT_NAME)
    second = touched(runs / "20261118T000000Z-b" / "logs" / DEFAULT_NAME)
    touched(runs / "20261119T000000Z-c" / "meta.json")
    assert newest_log(logs, runs) == second
    first = touched(logs / DEFAULT_NAME)
    assert newest_log(logs, runs) == first
