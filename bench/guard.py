"""What safety costs: one `Guard.apply` of an accepted action for twelve joints, every limit set.

    python -m bench.guard

The commands swing past the limits, so that about half of them are cut: the dearer way through.
"""

from __future__ import annotations

import itertools

import numpy as np

from isthmus.safety import Guard

from .bursts import serve_steps
from .contracts import CONTROL_DT_NS, JOINTS, limited_arm

PERIOD = 256  # steps of one swing
AMPLITUDE = 1.9  # rad; the limits allow 1.5


def main() -> None:
    """Arm the guard, then apply one command after the other."""
    guard = Guard(limited_arm(), rearm="auto")
    phase = np.linspace(0, 2 * np.pi, PERIOD, endpoint=False)
    swing = (AMPLITUDE * np.sin(phase)).astype(np.float32)
    commands = [{"target": np.full((1, JOINTS), value)} for value in swing]
    measured = {"q": np.zeros((1, JOINTS), np.float32)}
    guard.reset(0, measured)
    clock = itertools.count(CONTROL_DT_NS, CONTROL_DT_NS)
    turn = itertools.cycle(commands)

    def step() -> None:
        guard.apply(next(clock), next(turn), measured, CONTROL_DT_NS)

    serve_steps(step)


if __name__ == "__main__":
    main()
