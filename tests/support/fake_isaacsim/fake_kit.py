"""What both generations of the stand-in share: an app, a timeline, physics of joints, a journal.

Runs in any Python with numpy; imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LAG = 0.05  # s, with which a joint follows its target


class Stage:
    """Everything there is in the process: one robot, one timeline, one physics scene."""

    def __init__(self) -> None:
        self.journal: Path | None = None
        self.robot: Robot | None = None
        self.callbacks: list[Callable[[float], Any]] = []
        self.physics_dt = self.rendering_dt = 1 / 60
        self.playing, self.stopped, self.ready = False, True, False
        self.steps = self.updates = 0
        self.told: list[dict[str, Any]] = []

    def tell(self, event: str, **facts: Any) -> None:
        """Write what happened, as soon as it is known where."""
        self.told.append({"event": event, **facts})
        if self.journal is not None:
            with self.journal.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(each) + "\n" for each in self.told)
            self.told.clear()

    def reference(self, usd_path: str, prim: str) -> None:
        """Put the robot of a file on the stage."""
        description = json.loads(Path(usd_path).read_text(encoding="utf-8"))
        self.journal = Path(usd_path + ".journal")
        self.robot = Robot(description, prim)
        self.tell("reference", prim=prim)

    def play(self, *, callbacks_while_warming_up: bool) -> None:
        """Start, with the two steps in which physics warms up, the first time and after Stop."""
        self.playing = True
        if self.stopped:
            self.stopped, self.steps = False, 0
            for _ in range(2):
                self._simulate(callbacks_while_warming_up)

    def stop(self) -> None:
        """Put everything back, and take the state away."""
        self.playing, self.stopped, self.ready = False, True, False
        if self.robot is not None:
            self.robot.reset()

    def step(self) -> None:
        """Simulate one physics step."""
        self._simulate(True)

    def update(self) -> None:
        """Simulate one frame."""
        self.updates += 1
        robot = self.robot
        if robot is not None and self.updates == robot.description.get("stops_at"):
            self.stop()
        elif robot is not None and self.updates == robot.description.get("plays_at"):
            self.play(callbacks_while_warming_up=True)
        elif self.playing:
            for _ in range(max(int(self.rendering_dt / self.physics_dt), 1)):
                self.step()

    def _simulate(self, callbacks: bool) -> None:
        for callback in list(self.callbacks) if callbacks else ():
            try:
                callback(self.physics_dt)
            except BaseException:  # as in a callback from C++: said, and forgotten
                traceback.print_exc()
        if self.robot is not None:
            self.robot.move(self.physics_dt)
            self.steps += 1
            wanted = self.robot.description.get("ready_after", 2)
            self.ready = self.robot.description.get("articulation", True) and self.steps >= wanted


class Robot:
    """Joints that follow their targets, and links that follow the joints."""

    def __init__(self, description: dict[str, Any], prim: str) -> None:
        self.description, self.prim = description, prim
        self.dofs: list[str] = description["dofs"]
        self.reset()

    def reset(self) -> None:
        """Take the pose of the file."""
        self.q = np.array(self.description["q"], np.float32)
        self.dq = np.zeros_like(self.q)
        self.targets = self.q.copy()

    def move(self, dt: float) -> None:
        """Follow the targets for one step."""
        self.dq = (self.targets - self.q) * np.float32((1 - np.exp(-dt / LAG)) / dt)
        self.q = self.q + self.dq * np.float32(dt)

    def tip(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Where the tip is: float32 (3,), m."""
        frames: list[tuple[Any, Any]] = []
        for link in self.description["links"]:
            turn = np.eye(3)
            if link["joint"]:
                angle, cross = self.q[self.dofs.index(link["joint"])], np.cross(turn, link["axis"])
                turn = turn + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
            if link["parent"] >= 0:
                above, origin = frames[link["parent"]]
                frames.append((above @ turn, origin + above @ np.array(link["position"])))
            else:
                frames.append((turn, np.array(link["position"])))
        rotation, origin = frames[self.description["tip"]["link"]]
        return np.asarray(origin + rotation @ self.description["tip"]["position"], np.float32)

    def command(self, targets: Any) -> None:
        """Take position targets, (D,)."""
        targets = np.asarray(targets, np.float32)
        if targets.shape != self.q.shape:
            raise ValueError(f"shape mismatch: {targets.shape} for {len(self.q)} DOFs")
        self.targets = targets.copy()
        STAGE.tell("targets", step=STAGE.steps, targets=targets.tolist(), q=self.q.tolist())


STAGE = Stage()


def robot_at(prim: str) -> Robot:
    """Find the robot."""
    assert STAGE.robot is not None and prim.startswith(STAGE.robot.prim), (
        f"Specified paths must correspond to existing prims: {prim}"
    )
    return STAGE.robot


class App:
    """`SimulationApp`, less the app."""

    def __init__(self, launch_config: dict[str, Any] | None = None, experience: str = "") -> None:
        self.config = {"headless": True, "fast_shutdown": True, **(launch_config or {})}
        STAGE.tell(
            "app",
            headless=self.config["headless"],
            argv=sys.argv[1:],
            isthmus_imported="isthmus" in sys.modules,
            python=sys.version.split()[0],
        )
        signal.signal(signal.SIGINT, lambda *_: os._exit(0))

    def update(self) -> None:
        """Run one frame."""
        STAGE.update()

    def is_running(self) -> bool:
        """Whether nobody closed the window."""
        closes = STAGE.robot and STAGE.robot.description.get("closes_after")
        return closes is None or STAGE.updates < closes

    def end(self, status: int) -> None:
        """End the process, as fast shutdown does."""
        sockets = 0
        for name in os.listdir("/proc/self/fd"):
            try:
                sockets += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
            except OSError:
                continue  # that of the listing itself
        STAGE.tell("close", status=status, sockets=sockets, tip=_tip())
        os._exit(status)


def _tip() -> list[float]:
    return STAGE.robot.tip().tolist() if STAGE.robot else []
