"""The page of a recorded run: drawn from the joint angles, and rendered where OpenGL is.

    python report.py runs/<id>

Runs in the simulator's Python, after a run or long after it, finished or not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from isthmus.errors import MissingDependencyError
from isthmus.record import Episode, Part, Run, Scene, Still, png, write_report

STILLS = 3
STILL_SIZE = (640, 480)
PLATFORMS = ("egl", "osmesa")
"""What MuJoCo may render with where MUJOCO_GL does not say and nobody has a display."""


def main(path: str) -> int:
    """Write `report.html` into a run's directory, and say where it is."""
    print(draw(Path(path)))
    return 0


def draw(path: Path) -> Path:
    """Write `report.html` into a run's directory."""
    run = Run.open(path)
    scenes = [scene_of(episode) for episode in run.episodes()]
    return write_report(run, scenes, stills_of(run.path) if scenes else ())


def scene_of(episode: Episode) -> Scene:
    """Where every shape of the arm was at each step."""
    from isthmus.sim import mujoco as roarm

    poses = [roarm.capsules(q) for q in episode.columns["q"]]
    parts = tuple(
        Part(
            "capsule" if shape.round_ends else "cylinder",
            shape.radius,
            "#" + "".join(f"{round(255 * channel):02x}" for channel in shape.colour[:3]),
        )
        for shape in poses[0]
    )
    return Scene(
        parts=parts,
        ends=np.array([[(shape.start, shape.end) for shape in pose] for pose in poses]),
        tip=episode.columns["goal"] - episode.columns["tip_error"],
        goal=episode.columns["goal"][0],
        goal_radius=roarm.TOLERANCE,
    )


def stills_of(run: Path) -> list[Still]:
    """Rendered pictures of a run; none where nothing can render.

    In a process of its own: the way to OpenGL is chosen before MuJoCo is loaded, and a broken one
    may take its process down.
    """
    asked = os.environ.get("MUJOCO_GL")
    for platform in (asked,) if asked else PLATFORMS:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, str(run), folder],
                env={**os.environ, "MUJOCO_GL": platform},
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                lines = [line.split("\t") for line in done.stdout.splitlines()]
                return [Still(caption, Path(name).read_bytes()) for name, caption in lines]
    return []


def render(run: str, folder: str) -> int:
    """Render the last pose of a few episodes; print `FILE<tab>CAPTION` for each."""
    from isthmus.sim import mujoco as roarm

    episodes = Run.open(run).episodes()
    arm = roarm.Arm()
    for index in sorted({round(i) for i in np.linspace(0, len(episodes) - 1, STILLS)}):
        episode = episodes[index]
        arm.reset(episode.columns["q"][-1])
        arm.show_goal(episode.columns["goal"][-1])
        try:
            pixels = arm.render(*STILL_SIZE)
        except MissingDependencyError as error:
            print(error, file=sys.stderr)
            return 1
        path = Path(folder) / f"{episode.index}.png"
        path.write_bytes(png(pixels))
        print(f"{path}\tGoal {episode.index + 1}, rendered by MuJoCo")
    arm.close()
    return 0


if __name__ == "__main__":
    sys.exit((render if len(sys.argv) == 3 else main)(*sys.argv[1:]))
