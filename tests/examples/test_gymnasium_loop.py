"""The Gymnasium example: environments in the simulator's Python, policies in another."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.runtimes import Environment
from tests.support.gateways import gateway

pytestmark = pytest.mark.cross_python

WAITS = ("--fast", "--deadline", "20")
"""Options with which no answer is late, however busy the machine."""

NESTED = '''
import gymnasium
from gymnasium.spaces import Box, Dict, Discrete, Tuple

class Nested(gymnasium.Env):
    """Its observation and its action have parts within parts."""

    observation_space = Dict(
        {"arm": Dict({"q": Box(-1, 1, (2,))}), "seen": Tuple((Discrete(3), Box(0, 1, (1,))))}
    )
    action_space = Dict({"arm": Dict({"v": Box(-1, 1, (2,))}), "grip": Tuple((Discrete(3),))})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert action["grip"] == (2,) and action["arm"]["v"].tolist() == [0.5, 0.5], action
        return self.observation_space.sample(), 1.0, False, True, {}

gymnasium.register("Nested-v0", Nested)
'''


class Loop:
    """Runs the example in the simulator's Python."""

    def __init__(self, root: Path, sim: Environment, place: Path) -> None:
        self.root, self.place = root, place
        self._python = str(sim.python)
        self._environ = {**os.environ, "PYTHONPATH": f"{root}:{place}"}

    def __call__(self, *words: str) -> str:
        """Run a program in it: what it says."""
        done = subprocess.run(
            [self._python, *words],
            cwd=self.place,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def play(self, *words: str) -> list[tuple[int, float, int]]:
        """Run the example: steps, return and misses of each episode."""
        said = self(str(self.root / "examples" / "gymnasium_loop.py"), *words)
        pattern = r"episode \d+: (\d+) steps, return (\S+), (\d+) without an answer"
        return [(int(a), float(b), int(c)) for a, b, c in re.findall(pattern, said)]

    def contract(self, *words: str) -> Path:
        """Write the contract of an environment."""
        path = self.place / "contract.json"
        self("-m", "isthmus", "contract", "from-gym", *words, "-o", str(path))
        return path


@pytest.fixture
def loop(project_root: Path, sim_runtime: Environment, tmp_path: Path) -> Loop:
    return Loop(project_root, sim_runtime, tmp_path)


@pytest.fixture
def serve(policy_runtime: Environment, tmp_path: Path) -> Callable[..., Any]:
    """Serve a policy in the policy's Python, at the address that is given back."""

    def serving(*arguments: str) -> Any:
        listen = ("--listen", f"unix:{tmp_path / 's'}")
        return gateway(*arguments, *listen, python=policy_runtime.python)

    return serving


def test_what_the_readme_has_written_into_its_folder_is_not_offered_to_git(
    project_root: Path,
) -> None:
    page = (project_root / "examples" / "README.md").read_text(encoding="utf-8")
    ignored = (project_root / ".gitignore").read_text(encoding="utf-8").splitlines()
    written = re.findall(r" -o (\S+)", page)
    assert written
    assert {f"/examples/{name}" for name in written} <= set(ignored)


def test_cartpole_stays_up_under_a_function_in_another_python(
    loop: Loop, serve: Callable[..., Any]
) -> None:
    contract = loop.contract("CartPole-v1", "--control-dt", "0.02", "--fallback", "zero")
    policy = "examples.cartpole_policy:balance"
    with serve(policy, "--contract", str(contract)) as found:
        played = loop.play("CartPole-v1", found.addresses[0], "--episodes", "2", *WAITS)
    assert played == [(500, 500.0, 0)] * 2


def test_an_environment_of_ones_own_and_a_trained_policy(
    loop: Loop, serve: Callable[..., Any]
) -> None:
    with serve("policies/reach.onnx") as found:
        words = ("isthmus/RoArmReach-v0", found.addresses[0], "--import", "isthmus.sim.mujoco")
        played = loop.play(*words, *WAITS)
    assert [(steps, late) for steps, _, late in played] == [(60, 0)] * 3
    assert all(total > 20 for _, total, _ in played), "it did not reach"


def test_a_paced_loop_with_a_policy_that_never_changes_its_mind(
    loop: Loop, serve: Callable[..., Any]
) -> None:
    contract = loop.contract("CartPole-v1", "--control-dt", "0.02", "--fallback", "zero")
    with serve("constant:1", "--contract", str(contract)) as found:
        ((steps, total, _),) = loop.play("CartPole-v1", found.addresses[0], "--episodes", "1")
    assert 5 < steps < 50 and total == steps


def test_parts_within_parts_keep_their_names(loop: Loop, serve: Callable[..., Any]) -> None:
    (loop.place / "nested.py").write_text(NESTED, encoding="utf-8")
    given = ("--import", "nested", "--control-dt", "0.1", "--fallback", "zero")
    contract = loop.contract("Nested-v0", *given)
    with serve("constant:arm.v=0.5;grip.0=2", "--contract", str(contract)) as found:
        played = loop.play("Nested-v0", found.addresses[0], "--import", "nested", *WAITS)
    assert played == [(1, 1.0, 0)] * 3
