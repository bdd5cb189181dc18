"""A made-up run: two joints, three shapes, timings from a seeded generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.record import Part, Run, Scene

STEPS = 12
WALL_NS = 1_780_000_000_000_000_000

CONTRACT: dict[str, Any] = {
    "name": "two_joints",
    "control_dt_ns": 40_000_000,
    "observation": [],
    "action": [
        {
            "name": "delta",
            "shape": [2],
            "labels": ["<base> & co", "elbow"],
            "semantics": "delta",
            "measured_position": "q",
        }
    ],
    "limits": {"delta": {"low": [-1.5, -1.0], "high": [1.5, 2.9]}},
}

META: dict[str, Any] = {
    "name": "synthetic <run>",
    "transport": "shm",
    "pacing": "realtime",
    "deadline_ns": 32_000_000,
    "seed": 0,
    "contract": CONTRACT,
    "interface_hash": "ab" * 32,
    "limits_hash": "cd" * 32,
    "policy": {"name": "reach", "kind": "onnx", "digest": "ef" * 32},
    "sim": {"python": "3.11.9", "packages": {"numpy": "1.26.4", "mujoco": "3.1.0"}},
    "policy_side": {"python": "3.12.1", "packages": {"numpy": "2.1.0", "onnxruntime": "1.20.0"}},
    "task": {"success_distance": 0.02, "hold_steps": 5},
}


def make_run(
    root: Path,
    episodes: int = 2,
    *,
    missed: frozenset[int] = frozenset(),
    facts: Sequence[Mapping[str, Any]] = (),
) -> Run:
    """Record a run that is not finished yet.

    `missed` are steps of the run without an answer, `facts` more of what is true of each episode.
    """
    rng = np.random.default_rng(5)
    run = Run.create(root, META, wall_ns=WALL_NS, token=f"t{episodes}")
    step = 0
    for index in range(episodes):
        span = STEPS * 40_000_000
        known = facts[index] if facts else {}
        with run.episode(seed=index, started_ns=WALL_NS + index * span, **known) as episode:
            for _ in range(STEPS):
                miss = step in missed
                stages = {"encode": 30e3, "wire": 90e3, "queue": 9e3, "infer": 50e3, "decode": 20e3}
                spans = {k: 0 if miss else int(v * rng.lognormal()) for k, v in stages.items()}
                episode.append(
                    q=rng.normal(0, 0.3, 2).astype(np.float32),
                    delta=np.zeros(2, np.float32),
                    target=np.zeros(2),
                    status=np.uint8(miss),
                    miss=miss,
                    cause="deadline" if miss else "",
                    wall_ns=WALL_NS + step * 40_000_000,
                    sim_time=step * 0.04,
                    total_ns=31_700_000 if miss else sum(spans.values()) + 10_000,
                    **{f"{name}_ns": value for name, value in spans.items()},
                )
                step += 1
            episode.finish(success=index % 2 == 0, ended_ns=WALL_NS + (index + 1) * span)
    return run


def scenes(episodes: int = 2) -> list[Scene]:
    """An arm of three shapes that turns about the vertical."""
    parts = (
        Part("cylinder", 0.07, "#333842"),
        Part("capsule", 0.02, "#c0c4cc"),
        Part("capsule", 0.01, "#ed6b21"),
    )
    turn = np.linspace(0.0, 1.0, STEPS)
    elbow = np.stack([0.1 * np.cos(turn), 0.1 * np.sin(turn), np.full(STEPS, 0.3)], axis=1)
    tip = np.stack([0.3 * np.cos(turn), 0.3 * np.sin(turn), np.full(STEPS, 0.2)], axis=1)
    foot, top = np.zeros((STEPS, 3)), np.tile([0.0, 0.0, 0.06], (STEPS, 1))
    ends = np.stack(
        [np.stack(pair, axis=1) for pair in ((foot, top), (top, elbow), (elbow, tip))], axis=1
    )
    goal = tip[-1] + [0.0, 0.0, 0.004]
    return [Scene(parts, ends, tip, goal) for _ in range(episodes)]
