"""Puts the stand-in for Isaac Sim's packages into a fake Isaac root, and a robot beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.sim.mujoco import JOINT_NAMES, arm_model

from .fake_isaac import FakeIsaac

STAND_IN = Path(__file__).parent / "fake_isaacsim"
DOFS = ("mast_pan", *JOINT_NAMES[3:], *JOINT_NAMES[:3])
"""The simulator's order: not the contract's, and with a joint that the contract does not know."""

START = {"link2_to_link3": 1.5708, "link5_to_gripper_link": 0.3, "mast_pan": 0.25}
"""Pose in the file, rad; the others are 0."""


def install(isaac: FakeIsaac, generation: str, python: Path) -> None:
    """Make `import isaacsim` and `import numpy` work in a fake root.

    Args:
        isaac: the fake root.
        generation: "old" (4.5 and 5.x) or "new" (6.x).
        python: a Python of the same version that has numpy, which is lent.
    """
    extension = isaac.home / "exts" / "isaacsim.simulation_app"
    shutil.rmtree(extension)
    shutil.copytree(STAND_IN / generation, extension, ignore=shutil.ignore_patterns("__pycache__"))
    isaac.add_module(
        "kit/kernel/py/fake_kit.py", (STAND_IN / "fake_kit.py").read_text(encoding="utf-8")
    )
    program = "import numpy; print(numpy.__path__[0])"
    lent = subprocess.run(
        [str(python), "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    for source in (Path(lent), Path(lent).with_name("numpy.libs")):
        (isaac.stdlib / "site-packages" / source.name).symlink_to(source)


def write_robot(path: Path, **changes: Any) -> Path:
    """Write the arm as the stand-in's "USD file"; `changes` are keys of its README.md."""
    model = arm_model()
    description = {
        "dofs": DOFS,
        "q": [START.get(name, 0.0) for name in DOFS],
        "links": [
            {
                "parent": link.parent,
                "position": link.position,
                "joint": link.joint,
                "axis": link.axis,
            }
            for link in model.links
        ],
        "tip": {"link": model.tip_link, "position": model.tip},
        **changes,
    }
    path.write_text(json.dumps(description), encoding="utf-8")
    return path


def read_journal(usd: Path) -> list[dict[str, Any]]:
    """What the stand-in noted, in order."""
    whole, _, _ = Path(f"{usd}.journal").read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def targets_of(journal: Sequence[dict[str, Any]], names: Sequence[str]) -> Any:
    """The position targets that were commanded, float64 (commands, len(names)), rad."""
    order = [DOFS.index(name) for name in names]
    found = [each["targets"] for each in journal if each["event"] == "targets"]
    return np.array(found).reshape(-1, len(DOFS))[:, order]
