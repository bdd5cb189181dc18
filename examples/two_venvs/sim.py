"""The simulator's side: a puck on a table, which moves as a policy in another Python says."""

import platform
import sys

import numpy as np

import isthmus

GOALS = np.array([[0.4, 0.2], [-0.3, 0.4], [0.0, 0.0]], np.float32)
STEPS = 75


def main(url):
    """Drive the puck to each goal; 0 if it came within a centimetre of all."""
    print(f"simulator: Python {platform.python_version()}, numpy {np.__version__}")
    position = speed = np.zeros(2, np.float32)
    missed = 0
    with isthmus.connect(url) as link:
        print(f"policy: Python {link.gateway['python']}, numpy {link.gateway['numpy']}")
        dt = link.contract.control_dt
        rate = isthmus.Rate(1 / dt)
        for goal in GOALS:
            link.reset()
            answered = 0
            for step in range(STEPS):
                action = link.act(position=position, speed=speed, goal=goal, sim_time=step * dt)
                speed = speed + 0.3 * (action["drive"] - speed)  # it is heavy
                position = position + speed * np.float32(dt)
                answered += action.status == "policy"
                rate.sleep()
            off = 1000 * float(np.linalg.norm(goal - position))
            print(f"goal {goal}: {off:.1f} mm off, {answered} of {STEPS} answered")
            missed += off > 10
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
