"""What the demo does with its two sides, whatever they do. Both are stand-ins here."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .programs import EVENT, GATEWAYS, SIMS, program


@pytest.fixture
def demo(project_root: Path) -> Path:
    return project_root / "examples" / "roarm_reach" / "demo.py"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for programs and notes, and one for temporary files that must end up empty.

    Not pytest's own: a socket's path is short, and the demo steps aside for a long one.
    """
    with tempfile.TemporaryDirectory(prefix="demo ") as name:
        place = Path(name)
        (place / "tmp").mkdir()
        (place / "a model.onnx").write_bytes(b"model")
        yield place
        assert list((place / "tmp").iterdir()) == []
        for side in ("gateway", "sim"):
            if (place / side).exists():
                assert not alive(int((place / side).read_text())), f"the {side} still runs"


def start(demo: Path, place: Path, gateway: str, sim: str, *options: str) -> subprocess.Popen[str]:
    event = copy.deepcopy(EVENT)
    if sim == "misses":
        sim = "good"
        event["metrics"]["reached"] = 0  # type: ignore[index]
        event["meta"]["episodes"][0]["success"] = False  # type: ignore[index]
    policy = program(place, "policy python", GATEWAYS[gateway])
    simulator = program(place, "sim python", SIMS[sim], event)
    # -I -S: standard library only, as on a machine where nothing is installed.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(demo), "--policy", "a model.onnx"]
        + ["--sim-python", str(simulator), "--policy-python", f"./{policy.name}", *options],
        cwd=place,
        env={**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONHOME": "", "CONDA_PREFIX": "/x"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_for(path: Path) -> str:
    """What a program notes, once it has."""
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path.name} never came"
        time.sleep(0.01)
    return path.read_text()


def test_a_run_ends_in_a_table(demo: Path, place: Path) -> None:
    process = start(demo, place, "good", "good")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    for words in ("goals reached   1 of 1", "60 at 25 Hz, 0 missed the 32 ms deadline", "ab" * 32):
        assert words in out
    assert (place / "url").read_text().startswith(f"shm:{place / 'tmp'}/isthmus-")


def test_an_arm_that_does_not_reach_is_a_failure(demo: Path, place: Path) -> None:
    process = start(demo, place, "good", "misses")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "goals reached   0 of 1" in out


def test_a_side_starts_in_a_clean_environment(demo: Path, place: Path) -> None:
    start(demo, place, "good", "good").communicate(timeout=60)
    environ = json.loads((place / "environ").read_text())
    assert environ["PYTHONSAFEPATH"] == environ["PYTHONNOUSERSITE"] == "1"
    assert not {"PYTHONHOME", "PYTHONPATH", "CONDA_PREFIX", "VIRTUAL_ENV"} & environ.keys()


@pytest.mark.parametrize(
    ("gateway", "sim", "said"),
    [
        ("never", "good", ["before it was ready", "ended with status 4", "no such model"]),
        ("silent", "good", ["before it was ready", "no words for it"]),
        ("sulks", "good", ["told to end", "ended with status 1", "left in anger"]),
        ("dies", "endless", ["in the middle of the run", "ended with status 9", "out of ideas"]),
        ("good", "fails", ["the simulator", "ended with status 7"]),
        ("good", "short", ["the simulator", "ended with status 0"]),
    ],
)
def test_a_side_that_fails_is_named(
    demo: Path, place: Path, gateway: str, sim: str, said: list[str]
) -> None:
    process = start(demo, place, gateway, sim)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    for words in said:
        assert words in err


def test_a_dead_gateway_still_lets_the_simulator_save(demo: Path, place: Path) -> None:
    _, err = start(demo, place, "dies", "endless").communicate(timeout=60)
    assert (place / "saved").exists() and (place / "report").read_text() == "runs/x"
    assert "what was recorded is in runs/x" in err


@pytest.mark.parametrize(
    ("gateway", "number"), [("good", signal.SIGINT), ("stubborn", signal.SIGTERM)]
)
def test_an_interrupt_ends_both_sides(demo: Path, place: Path, gateway: str, number: int) -> None:
    process = start(demo, place, gateway, "endless")
    wait_for(place / "sim")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (place / "saved").exists()


def test_a_killed_demo_takes_both_sides_with_it(demo: Path, place: Path) -> None:
    process = start(demo, place, "stubborn", "endless")
    pids = [int(wait_for(place / name)) for name in ("gateway", "sim")]
    os.kill(pids[0], signal.SIGSTOP)
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 60
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until, "a child outlived the demo"
        time.sleep(0.01)
    # Nobody is left to remove the folder after kill -9; it holds no more than a socket's name.
    for path in sorted((place / "tmp").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--policy", "none.onnx"), "--policy: no such file: none.onnx"),
        (("--sim-python", "none"), "--sim-python: no such program: none"),
        (("--duration", "0"), "--duration: expected seconds above 0, got 0.0"),
        (("--duration", "inf"), "--duration: expected seconds above 0"),
        (("--deadline", "9"), "--deadline: expected seconds above 0, at most 1, got 9.0"),
        (("--deadline", "nan"), "--deadline: expected seconds above 0"),
        (("--stall", "-1"), "--stall: expected seconds of at least 0"),
        (("--seed", "-1"), "--seed: expected a whole number of at least 0, got -1"),
        (("--transport", "pigeon"), "invalid choice: 'pigeon'"),
    ],
)
def test_a_wrong_command_line_starts_nothing(
    demo: Path, place: Path, options: tuple[str, ...], said: str
) -> None:
    process = start(demo, place, "good", "good", *options)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in err
    assert not (place / "gateway").exists()


def test_the_usage_holds_only_what_a_user_may_give(demo: Path, place: Path) -> None:
    child = start(demo, place, "good", "good", "--nope")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2 and "--duration S" in errors
    assert "--sim-python" not in errors and "--policy-python" not in errors
