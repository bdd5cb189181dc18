"""A policy for `gymnasium_loop.py` that is a plain function: keeps the pole of CartPole upright."""

import numpy as np

GAINS = np.array([0.1, 0.3, 1.0, 0.5], np.float32)
"""Of position, speed, angle and angular speed: lean against what is about to fall."""


def balance():
    """Make the policy; `isthmus serve cartpole_policy:balance` calls this."""

    def policy(observation):  # arrays (n, ...), n environments at once
        return {"action": (observation["observation"] @ GAINS > 0).astype(np.int64)}

    return policy
