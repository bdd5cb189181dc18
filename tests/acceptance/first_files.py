"""Files as the operators write them: policies, a contract, a joint specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["JOINTS", "dummy", "joint_spec", "moody_policy"]

MOODY = '''\
"""A policy with moods: the first joint's position says which."""

import pathlib
import time


def moody():
    def policy(observation):
        mood = float(observation["q"][0, 0])
        if mood == 7.0:
            raise RuntimeError("the gears are stuck")
        if mood == 8.0:  # hangs, until somebody lets it go
            end = time.monotonic() + 30.0
            while not pathlib.Path("let_go").exists() and time.monotonic() < end:
                time.sleep(0.001)
        return {"delta": 0.0 * observation["q"] + 0.01}

    return policy
'''


CONTRACT: dict[str, Any] = {
    "name": "arm",
    "actuator": "simulated",
    "control_dt_ns": 40_000_000,
    "observation": [{"name": "q", "shape": [2], "dtype": "float32", "unit": "rad"}],
    "action": [
        {
            "name": "delta", "shape": [2], "dtype": "float32", "unit": "rad", "semantics": "delta",
            "measured_position": "q", "fallback": "zero",
        }
    ],
}  # fmt: skip


JOINTS = {
    "shoulder": {"lower": -1.0, "upper": 1.0, "velocity": 10.0},
    "elbow": {"lower": -2.0, "upper": 2.0, "velocity": 0.1},
}
"""Name -> its limits, in rad and rad/s."""


def dummy(folder: Path, action_dim: int = 6, name: str = "dummy.json") -> str:
    """A policy that answers zeros, as the operators write it; its path."""
    path = folder / name
    path.write_text(json.dumps({"type": "linear_dummy", "action_dim": action_dim}))
    return str(path)


def moody_policy(folder: Path) -> tuple[str, ...]:
    """A policy with moods; the arguments that serve it."""
    (folder / "moods.py").write_text(MOODY, encoding="utf-8")
    (folder / "arm.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    return ("moods:moody", "--contract", "arm.json")


def joint_spec(folder: Path, *, rates: bool = True) -> str:
    """The joint specification of the moody policy's arm; its path."""
    keys = ("lower", "upper", "velocity") if rates else ("lower", "upper")
    joints = [{"name": name, **{k: row[k] for k in keys}} for name, row in JOINTS.items()]
    (folder / "joints.json").write_text(json.dumps({"joints": joints}), encoding="utf-8")
    return "joints.json"
