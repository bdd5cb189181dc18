"""The Isaac Sim example in a fake root: another Python, both generations of the API, a real policy.

Not Kit: `tests/support/fake_isaacsim/README.md` says what the stand-in keeps to.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.runtimes import Environment
from isthmus.sim.mujoco import CONTROL_DT_NS, JOINT_NAMES, TOLERANCE, contract
from tests.support.fake_isaac import FakeIsaac, build_fake_isaac
from tests.support.gateways import Gateway, gateway
from tests.support.isaacsim_stand_in import (
    DOFS,
    START,
    install,
    read_journal,
    targets_of,
    write_robot,
)
from tests.support.waiting import until

pytestmark = pytest.mark.cross_python

GOALS = ([0.28, 0.1, 0.2], [0.25, -0.15, 0.15])
DT = CONTROL_DT_NS / 1e9
PATIENT = ("--deadline", "20")
"""Seconds: in a simulation that waits, no action is late, however busy the machine."""
SIGNALLED = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module", params=["5.1 old", "6.0 new"])
def isaac(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    sim_runtime: Environment,
) -> FakeIsaac:
    """A fake root of one generation, around the simulator's Python."""
    version, generation = request.param.split()
    root = tmp_path_factory.mktemp("isaac") / "root"
    made = build_fake_isaac(root, sim_runtime.python, version=version)
    install(made, generation, sim_runtime.python)
    return made


@pytest.fixture(scope="module")
def reach(
    policy_runtime: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """The trained policy, in the policy's Python."""
    socket = tmp_path_factory.mktemp("s") / "s"
    arguments = ("policies/reach.onnx", "--listen", f"unix:{socket}")
    with gateway(*arguments, python=policy_runtime.python) as found:
        yield found


class Runner:
    """Runs the example by `isthmus run`, in a shell that has the root's variables already."""

    def __init__(self, root: Path, isaac: FakeIsaac, url: str, place: Path) -> None:
        self.isaac, self.url, self.python = isaac, url, isaac.root
        self.program = root / "examples" / "isaac_sim_standalone.py"
        self.place, self.usd = place, place / "arm.usd"

    def start(
        self, *options: str, robot: dict[str, Any] | None = None, tool: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start it with a robot; with `tool`, by that script."""
        write_robot(self.usd, **(robot or {}))
        environ = {**self.isaac.polluted(os.environ), "XDG_CACHE_HOME": str(self.place / "cache")}
        isthmus = [sys.executable, "-I", "-m", "isthmus", "run", "--python", str(self.python)]
        start = [*isthmus, "--", "python"] if tool is None else [str(tool)]
        environ["ISAAC_SIM_ROOT"] = str(self.isaac.root)
        return subprocess.Popen(
            [*start, str(self.program), self.url, "--usd", str(self.usd), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def __call__(self, *options: str, **given: Any) -> tuple[int, str, list[dict[str, Any]]]:
        """Run it: its status, what it said, what the stand-in noted."""
        process = self.start(*options, **given)
        said = "".join(process.communicate(timeout=120))
        return process.returncode, said, read_journal(self.usd)


@pytest.fixture
def run(project_root: Path, isaac: FakeIsaac, reach: Gateway, tmp_path: Path) -> Runner:
    return Runner(project_root, isaac, reach.addresses[0], tmp_path)


def reaching(*goals: list[float]) -> list[str]:
    """Options that bring the tip to these goals."""
    words = ["--tip", "/World/robot/hand_tcp"]
    for goal in goals:
        words += ["--goal", *map(str, goal)]
    return words


def test_the_arm_reaches_under_a_policy_in_another_python(
    run: Runner, sim_runtime: Environment
) -> None:
    status, said, journal = run("--headless", *PATIENT, *reaching(*GOALS), "--/app/x=1")
    assert status == 0, said
    app, commands, closed = journal[0], journal[2:-1], journal[-1]
    assert app["python"] == sim_runtime.version
    assert not app["isthmus_imported"], "isthmus comes after SimulationApp"
    assert app["headless"] and app["argv"] == ["--/app/x=1"], "Kit's settings are Kit's"
    assert closed["event"] == "close" and closed["sockets"] == 0, "the link was still open"
    assert "episode 1: {'policy': 60}" in said and "episode 2: {'policy': 60}" in said
    # The policy's deltas became targets, joint by joint, in an order that is not the contract's.
    targets = targets_of(commands, JOINT_NAMES)
    assert len(targets) == 120
    limits = contract().limits["delta"]
    assert (np.abs(np.diff(targets[:60], axis=0)) <= np.array(limits.max_rate) * DT + 1e-6).all()
    assert (targets >= np.array(limits.low) - 1e-6).all()
    assert (targets <= np.array(limits.high) + 1e-6).all()
    mast = targets_of(commands, ["mast_pan"])
    assert np.allclose(mast, START["mast_pan"]), "a joint that the contract does not name moved"
    assert np.linalg.norm(np.subtract(closed["tip"], GOALS[-1])) <= TOLERANCE, said
    # 200 Hz of physics, 25 Hz of control: every eighth physics step, whatever warmed up before.
    assert set(np.diff([each["step"] for each in commands])) == {8}


def test_the_launcher_script_does_the_same(run: Runner, project_root: Path) -> None:
    tool = project_root / "scripts" / "run_isaac_tool.sh"
    status, said, journal = run("--headless", *PATIENT, *reaching(GOALS[0]), tool=tool)
    assert status == 0, said
    assert np.linalg.norm(np.subtract(journal[-1]["tip"], GOALS[0])) <= TOLERANCE, said
    status, said, _ = run("--headless", tool=tool)
    assert status == 1 and "missing goal" in said, "its status is the program's"


def test_installed_from_pip_it_is_a_virtual_environment(
    run: Runner, sim_runtime: Environment, isaac: FakeIsaac, tmp_path: Path
) -> None:
    folder = tmp_path / "env_isaacsim"
    make = [str(sim_runtime.python), "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(make, check=True)
    packages = isaac.stdlib / "site-packages"
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name in ("numpy", "numpy.libs"):
        (site / name).symlink_to(packages / name)
    extension = isaac.home / "exts" / "isaacsim.simulation_app"
    (site / "isaacsim").symlink_to(extension / "isaacsim")
    (site / "fake_kit.py").symlink_to(isaac.home / "kit" / "kernel" / "py" / "fake_kit.py")
    run.python = folder
    status, said, journal = run("--headless", *PATIENT, *reaching(GOALS[0]))
    assert status == 0, said
    assert np.linalg.norm(np.subtract(journal[-1]["tip"], GOALS[0])) <= TOLERANCE, said


def test_frames_hold_several_physics_steps(run: Runner) -> None:
    status, said, journal = run(*PATIENT, *reaching(GOALS[0]))
    assert status == 0, said
    assert not journal[0]["headless"]
    assert set(np.diff([each["step"] for each in journal[2:-1]])) == {8}
    assert np.linalg.norm(np.subtract(journal[-1]["tip"], GOALS[0])) <= TOLERANCE, said


def test_in_real_time_too(run: Runner) -> None:
    """Where a late answer is the fallback, which on a busy machine may well be seen."""
    status, said, journal = run("--headless", *reaching(GOALS[0]))
    assert status == 0, said
    assert len(targets_of(journal, JOINT_NAMES)) == 60
    assert "'policy': " in said


def test_a_robot_without_a_state_yet_is_waited_for(run: Runner) -> None:
    robot = {"ready_after": 40}
    status, said, journal = run("--headless", *PATIENT, *reaching(GOALS[0]), robot=robot)
    assert status == 0, said
    assert len(targets_of(journal, JOINT_NAMES)) == 60
    assert min(each["step"] for each in journal[2:-1]) >= 40


def test_a_prim_that_never_has_one_is_said(run: Runner) -> None:
    status, said, journal = run("--headless", robot={"articulation": False})
    assert status == 1
    assert "/World/robot has no joint state after 100 steps" in said
    assert "Traceback" not in said


def test_stop_and_play_begin_a_new_episode(run: Runner) -> None:
    robot = {"stops_at": 40, "plays_at": 60}
    status, said, journal = run(*PATIENT, *reaching(GOALS[0]), robot=robot)
    assert status == 0, said
    targets = targets_of(journal, JOINT_NAMES)
    assert 60 < len(targets) < 120, "the episode that was stopped, and a whole one"
    home = np.array([START.get(name, 0.0) for name in JOINT_NAMES])
    rate = np.array(contract().limits["delta"].max_rate) * DT
    assert (np.abs(targets[-60] - home) <= rate + 1e-6).all(), "not from the pose after Play"
    assert np.linalg.norm(np.subtract(journal[-1]["tip"], GOALS[0])) <= TOLERANCE, said


def test_a_closed_window_ends_it(run: Runner) -> None:
    status, said, journal = run(*PATIENT, *reaching(GOALS[0]), robot={"closes_after": 30})
    assert status == 0, said
    assert len(targets_of(journal, JOINT_NAMES)) < 60
    assert journal[-1]["event"] == "close" and journal[-1]["sockets"] == 0


@pytest.mark.parametrize("number", SIGNALLED, ids=lambda number: number.name)
def test_a_signal_ends_it_well(run: Runner, number: signal.Signals) -> None:
    process = run.start("--headless", *PATIENT, "--seconds", "1e6", *reaching(*GOALS))
    until(lambda: len(commanded(run.usd)), "a command")
    process.send_signal(number)
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == SIGNALLED[number], said
    assert "Traceback" not in said


def commanded(usd: Path) -> Any:
    """The targets commanded so far, of the contract's joints."""
    there = Path(f"{usd}.journal").exists()
    return targets_of(read_journal(usd), JOINT_NAMES) if there else np.empty((0, 6))


def test_without_its_gateway_the_arm_holds(
    run: Runner, policy_runtime: Environment, tmp_path: Path
) -> None:
    arguments = ("policies/reach.onnx", "--listen", f"unix:{tmp_path / 's'}")
    with gateway(*arguments, python=policy_runtime.python) as dying:
        run.url = dying.addresses[0]
        process = run.start("--headless", "--seconds", "1e6", *reaching(GOALS[0]))
        until(lambda: len(commanded(run.usd)), "a command")
        dying.kill()
        until(lambda: holds(commanded(run.usd)), "a stop")
    process.terminate()
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "'bridged': " in said


def holds(targets: Any) -> bool:
    """Whether the last second's commands were all the same, after others."""
    return bool(len(targets) > 25 and (targets[-25:] == targets[-1]).all())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--physics-hz", "60"], "physics is no multiple of 25 Hz control; use --physics-hz 50"),
        (
            [],
            "does not fit the contract: missing goal, tip_error",
        ),  # raised in the callback, and not lost there
    ],
)
def test_a_mistake_is_said(run: Runner, options: list[str], words: str) -> None:
    status, said, _ = run("--headless", *options)
    assert status == 1
    assert words in said


def test_an_action_that_is_no_target_is_refused(
    run: Runner, policy_runtime: Environment, tmp_path: Path
) -> None:
    described = contract().to_dict()
    described["action"][0].update(name="speed", semantics="velocity", unit="rad/s", fallback="zero")
    described["action"][0].update(measured_position="", measured_velocity="dq")
    del described["limits"]
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(described), encoding="utf-8")
    listen = ("--listen", f"unix:{tmp_path / 's'}")
    given = ("constant", "--contract", str(file), *listen)
    with gateway(*given, python=policy_runtime.python) as found:
        run.url = found.addresses[0]
        status, said, _ = run("--headless")
    assert status == 1
    assert "a position or a delta; the policy has speed (velocity)" in said


def test_joints_that_the_robot_lacks_are_named(run: Runner) -> None:
    robot = {"dofs": [name.replace("link2_to", "elbow_to") for name in DOFS]}
    robot["links"] = []  # type: ignore[assignment]
    status, said, _ = run("--headless", robot=robot)
    assert status == 1
    assert "the robot lacks 1 of the contract's joints: 'link2_to_link3'" in said


def test_the_manifest_of_the_page_brings_both_sides_up(
    project_root: Path, isaac: FakeIsaac, policy_runtime: Environment, tmp_path: Path
) -> None:
    page = (project_root / "docs" / "howto" / "isaac-sim.md").read_text(encoding="utf-8")
    block = next(each for each in re.findall(r"```toml\n(.*?)```", page, re.S) if "[run." in each)
    ready = f'python = "{policy_runtime.python.parent.parent}"'  # a prepared one: no network
    text, changed = re.subn(r'python = ">=3.11"\nrequirements = .*', ready, block)
    assert changed == 1
    (tmp_path / "isthmus.toml").write_text(text, encoding="utf-8")
    (tmp_path / "policies").symlink_to(project_root / "policies")
    example = project_root / "examples" / "isaac_sim_standalone.py"
    (tmp_path / example.name).symlink_to(example)
    (tmp_path / "assets").mkdir()
    write_robot(tmp_path / "assets" / "arm.usd")
    environ = {**isaac.polluted(os.environ), "ISAAC_SIM_ROOT": str(isaac.root)}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "isthmus", "up", "demo", "--", *PATIENT],
        cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"sim +\| episode 1: \{'policy': 60\}", done.stdout)
    journal = read_journal(tmp_path / "assets" / "arm.usd")
    assert np.linalg.norm(np.subtract(journal[-1]["tip"], [0.3, 0.0, 0.2])) <= TOLERANCE
