"""The demo, end to end: MuJoCo in one Python, the trained policy in another."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from isthmus.provenance import randomization_hash
from isthmus.record import STATUSES, Run
from isthmus.runtimes import Environment
from isthmus.sim.mujoco import CONTROL_DT_NS, MAX_ACCELERATION, MAX_RATE, contract

pytestmark = [pytest.mark.slow, pytest.mark.cross_python]

POLICY = STATUSES.index("policy")
DT = CONTROL_DT_NS / 1e9
STOP_GIVE = 0.1  # rad: a joint's stop is a spring, and a measurement may lie in it


class Demo:
    """Runs the demo of the checkout's `isthmus.toml`, in a folder of its own."""

    def __init__(self, root: Path, sim: Environment, policy: Environment, place: Path) -> None:
        self.sim, self.policy, self.root = sim, policy, root
        self.place = place
        self.output = ""
        manifest = (root / "isthmus.toml").read_text(encoding="utf-8")
        here = re.sub(r'"(?=(\.envs|policies|examples)/)', f'"{root}/', manifest)
        (place / "isthmus.toml").write_text(here, encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.policy.python), "-I", "-m", "isthmus", "up", "demo", "--", *options],
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *options: str) -> tuple[int, Run]:
        process = self.start(*options)
        self.output, _ = process.communicate(timeout=240)
        return process.returncode, self.run()

    def run(self) -> Run:
        runs = sorted((self.place / "runs").iterdir()) if (self.place / "runs").exists() else []
        assert len(runs) == 1, self.output
        return Run.open(runs[0])


@pytest.fixture
def demo(
    project_root: Path, sim_runtime: Environment, policy_runtime: Environment, tmp_path: Path
) -> Demo:
    return Demo(project_root, sim_runtime, policy_runtime, tmp_path)


def check_commands(run: Run) -> None:
    """Nothing beyond the arm's limits was ever sent, whoever chose it."""
    limits = contract().limits["delta"]
    rate = np.array(list(MAX_RATE.values())) * DT
    for episode in run.episodes():
        delta, target, q = (episode.columns[name] for name in ("delta", "target", "q"))
        assert np.isfinite(delta).all()
        assert (np.abs(delta) <= rate + 1e-6).all()
        assert (np.abs(np.diff(delta, axis=0)) <= MAX_ACCELERATION * DT**2 + 1e-6).all()
        assert (target >= np.array(limits.low) - 1e-6).all()
        assert (target <= np.array(limits.high) + 1e-6).all()
        assert (q >= np.array(limits.low) - STOP_GIVE).all()
        assert (q <= np.array(limits.high) + STOP_GIVE).all()


@pytest.mark.parametrize(("transport", "duration"), [("shm", 4), ("unix", 2), ("tcp", 2)])
def test_the_arm_reaches(demo: Demo, transport: str, duration: int) -> None:
    status, run = demo("--transport", transport, "--duration", str(duration))
    assert status == 0, demo.output
    episodes = round(duration / 2.4)
    assert run.meta["state"] == "finished"
    assert run.meta["transport"] == transport
    assert run.meta["interface_hash"] == contract().interface_hash
    assert run.meta["sim"]["python"] == demo.sim.version
    assert run.meta["policy_side"]["python"] == demo.policy.version
    assert run.metrics()["steps"] == 60 * episodes
    assert run.metrics()["reached"] == episodes
    assert [e["seed"] for e in run.meta["episodes"]] == list(range(episodes))
    for episode in run.meta["episodes"]:
        assert "link_mass" in episode["randomization"]
        assert episode["rand_hash"] == randomization_hash(episode["randomization"])
        assert episode["rand_hash"] == episode["expected_rand_hash"]
        assert 1 <= episode["rand_hash_echoes"] <= 60  # an answer that came too late carries none
    assert run.meta["randomization_hash"].startswith("r1-")
    assert (run.meta["policy"]["name"], run.meta["policy"]["kind"]) == ("reach", "onnx")
    assert len(run.meta["policy"]["digest"]) == 64
    assert "<canvas" in (run.path / "report.html").read_text(encoding="utf-8")
    assert f"goals reached   {episodes} of {episodes}" in demo.output
    check_commands(run)


def test_a_stopped_gateway_is_survived(demo: Demo) -> None:
    status, run = demo("--duration", "12", "--stall", "3")
    metrics = run.metrics()
    columns = [e.columns for e in run.episodes()]
    came_from = np.concatenate([c["status"] for c in columns])
    assert status == 0, demo.output
    assert run.meta["state"] == "finished"
    # 3 s are 75 steps; the first may still have been answered, and what comes after the stall is
    # for the rule of re-arming to say.
    lost = np.flatnonzero(came_from != POLICY)
    assert 70 <= len(lost) and metrics["misses"] > 0
    assert f"{metrics['misses']} had no answer" in demo.output
    assert "that the stall did not touch" in demo.output
    assert run.meta["stall_seconds"] == 3
    begun, over = run.meta["stalled_ns"]
    assert (over - begun) / 1e9 == pytest.approx(3, abs=1.0)
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "stopped on purpose" in report and "that the stall did not touch" in report
    assert (came_from[-20:] == POLICY).mean() > 0.5, "the link did not re-arm"
    check_commands(run)
    # While the gateway was stopped the loop went on at its pace.
    wall = np.concatenate([c["wall_ns"] for c in columns])[lost[0] : lost[0] + 70]
    assert (wall[-1] - wall[0]) / 1e9 == pytest.approx(69 * DT, abs=1.0)


def test_a_run_carries_one_id(demo: Demo) -> None:
    status, run = demo("--duration", "2")
    assert status == 0, demo.output
    up = json.loads((run.path / "up.json").read_text(encoding="utf-8"))
    assert run.meta["run_id"] == run.path.name == up["run_id"]
    logs = {path.name for path in (run.path / "logs").iterdir() if path.name[0] != "."}
    said = {"gateway.log", "sim.log", "isthmus.log"}
    assert logs == said | {
        "ipc_gateway_events.jsonl", "ipc_metrics.json", "hash_mismatch_events.jsonl",
    }  # fmt: skip


def after_the_first_goal(process: subprocess.Popen[str]) -> Iterator[str]:
    """Wait for the first goal; gives what is said from then on."""
    assert process.stdout is not None
    lines = iter(process.stdout)
    assert any("goal 1 of" in line for line in lines)
    return lines


def test_an_interrupted_run_is_saved(demo: Demo) -> None:
    with demo.start("--duration", "600") as process:
        lines = after_the_first_goal(process)
        process.send_signal(signal.SIGINT)
        demo.output = "".join(lines)
    assert process.returncode == 130, demo.output
    assert demo.run().meta["state"] == "interrupted"
    assert "interrupted; what was recorded is in" in demo.output
    assert (demo.run().path / "report.html").exists()


def test_a_gateway_that_dies_ends_the_run_and_what_was_recorded_is_kept(demo: Demo) -> None:
    with demo.start("--duration", "600") as process:
        lines = after_the_first_goal(process)
        (record,) = (demo.place / ".isthmus" / "up").glob("*.json")
        up = json.loads(record.read_text(encoding="utf-8"))
        os.kill(up["processes"]["gateway"]["pid"], signal.SIGKILL)
        demo.output = "".join(lines)
    assert process.returncode == 3, demo.output
    assert "SIGKILL" in demo.output
    assert demo.run().meta["state"] == "interrupted", demo.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--duration", "0"), "--duration: expected seconds above 0, got 0.0"),
        (("--deadline", "9"), "--deadline: expected seconds above 0, at most 1, got 9.0"),
        (("--stall", "-1"), "--stall: expected seconds of at least 0"),
        (("--stall", "1"), "say with --gateway-pid which process is to stop"),
        (("--transport", "tcp"), "say with --tcp where the gateway listens"),
        (("--transport", "pigeon"), "invalid choice: 'pigeon'"),
    ],
)
def test_a_wrong_command_line_moves_nothing(
    demo: Demo, options: tuple[str, ...], said: str
) -> None:
    program = demo.root / "examples" / "roarm_reach" / "sim.py"
    command = [str(demo.sim.python), str(program), "unix:none.sock", *options]
    done = subprocess.run(command, cwd=demo.place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert said in done.stderr
