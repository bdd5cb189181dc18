from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import Error
from isthmus.record import Run, layout
from isthmus.record.columns import Columns
from isthmus.record.files import write_arrays, write_json, write_text

from .synthetic import META, STEPS, WALL_NS, make_run


def test_a_run_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.finish({"reached": 1}, wall_ns=WALL_NS + 10**9)
    run = Run.open(made.path)
    assert run.meta["state"] == "finished"
    assert run.meta["started_ns"] == WALL_NS
    assert run.meta["ended_ns"] == WALL_NS + 10**9
    assert run.meta["summary"] == {"reached": 1}
    assert run.meta["contract"] == META["contract"]
    assert [e["success"] for e in run.meta["episodes"]] == [True, False]
    first, second = run.episodes()
    assert (first.index, second.index) == (0, 1)
    assert len(first) == len(second) == STEPS
    moments = {"started_ns": WALL_NS, "ended_ns": WALL_NS + STEPS * 40_000_000}
    assert first.facts == {"complete": True, "seed": 0, "success": True, **moments}
    assert first.columns["q"].shape == (STEPS, 2) and first.columns["q"].dtype == np.float32
    assert first.columns["status"].dtype == np.uint8
    assert first.columns["wall_ns"].dtype == np.int64
    assert second.columns["wall_ns"][0] == WALL_NS + STEPS * 40_000_000
    assert run.metrics()["steps"] == 2 * STEPS


def test_a_run_is_named_by_its_start(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "new" / "runs", {}, wall_ns=WALL_NS, token="abc")
    assert run.path.name == run.meta["run_id"] == "20260528T202640Z-abc"
    with pytest.raises(FileExistsError):
        Run.create(tmp_path / "new" / "runs", {}, wall_ns=WALL_NS, token="abc")


def test_two_runs_of_one_second_differ(tmp_path: Path) -> None:
    names = {Run.create(tmp_path, {}, wall_ns=WALL_NS).path.name for _ in range(20)}
    assert len(names) == 20


def test_an_exception_keeps_the_steps_taken(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    with pytest.raises(KeyboardInterrupt), run.episode(seed=1) as episode:
        episode.append(q=np.zeros(2))
        raise KeyboardInterrupt
    run.finish({}, state="interrupted")
    (found,) = Run.open(run.path).episodes()
    assert len(found) == 1 and found.facts == {"complete": False, "seed": 1}
    assert run.metrics()["complete"] == 0


CRASH = """
import os, signal, sys
import numpy as np
from isthmus.record import Run
run = Run.create(sys.argv[1], {"name": "crash"})
for index in range(3):
    episode = run.episode(seed=index)
    for step in range(5):
        episode.append(q=np.full(2, step, np.float32), total_ns=1000)
        if (index, step) == (2, 3):
            os.kill(os.getpid(), signal.SIGKILL)
    episode.finish(success=True)
"""


def test_a_killed_program_leaves_a_readable_run(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    run = Run.open(path)
    assert run.meta["state"] == "running" and run.meta["ended_ns"] is None
    assert [len(e) for e in run.episodes()] == [5, 5]
    assert run.metrics()["steps"] == 10


def test_half_written_files_are_not_seen(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / layout.EPISODES / ".0002.npz.17.tmp").write_bytes(b"half")
    assert len(Run.open(run.path).episodes()) == 2


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    with pytest.raises(ValueError, match="objects"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([object()])})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["meta.json"]


def test_meta_is_replaced_in_one_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path, {"name": "before"})
    seen: list[str] = []
    replace = os.replace

    def watched(source: os.PathLike[str], target: os.PathLike[str]) -> None:
        if Path(target).name == layout.META:
            seen.append(json.loads(Path(target).read_text())["state"])
            seen.append(json.loads(Path(source).read_text())["state"])
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    run.finish({})
    assert seen == ["running", "finished"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"q": np.zeros(3), "n": 1}, r"column 'q': expected float64 \(2,\)"),
        ({"q": np.zeros(2), "n": "one"}, "column 'n': expected int64"),
        ({"q": np.zeros(2)}, r"missing \['n'\], new \[\]"),
        ({"q": np.zeros(2), "n": 1, "m": 2}, r"missing \[\], new \['m'\]"),
        ({"q": np.zeros(2), "n": None}, "expected numbers, booleans or text, got object"),
    ],
)
def test_every_step_has_the_first_ones_columns(step: dict[str, object], message: str) -> None:
    columns = Columns()
    columns.append({"q": np.zeros(2), "n": 1})
    with pytest.raises(Error, match=message):
        columns.append(step)
    assert len(columns) == 1 and columns.arrays()["n"].tolist() == [1]


def test_a_recorded_array_is_a_copy() -> None:
    columns, buffer = Columns(), np.zeros(2)
    for value in (1.0, 2.0):
        buffer[:] = value
        columns.append({"q": buffer})
    assert columns.arrays()["q"].tolist() == [[1.0, 1.0], [2.0, 2.0]]


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"no such file; expected a run directory with meta\.json"):
        Run.open(tmp_path)
    (tmp_path / layout.META).write_text("[1]")
    with pytest.raises(Error, match="expected a JSON object, got list"):
        Run.open(tmp_path)
    run = make_run(tmp_path / "runs")
    (run.path / layout.EPISODES / "0001.npz").write_bytes(b"no zip")
    with pytest.raises(Error, match=r"0001\.npz: not an episode"):
        run.episodes()


def test_a_state_is_one_of_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use one of finished, interrupted, failed"):
        Run.create(tmp_path, {}).finish({}, state="running")


def test_an_episode_without_a_step_leaves_no_file(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    with pytest.raises(KeyboardInterrupt), run.episode(seed=1):
        raise KeyboardInterrupt
    assert run.episodes() == []
    assert run.finish({}, state="interrupted")["episodes"] == 0


def test_a_run_may_have_its_name_and_directory_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "20261123T010203Z-abc" / "logs").mkdir(parents=True)
    run = Run.create(tmp_path, {"seed": 3}, run_id="20261123T010203Z-abc")
    assert run.meta["run_id"] == run.path.name == "20261123T010203Z-abc"
    assert (run.path / "logs").is_dir() and Run.open(run.path).meta["seed"] == 3
