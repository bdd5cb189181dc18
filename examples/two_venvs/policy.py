"""The policy's side: towards the goal, the faster the farther it is."""

import numpy as np


def towards_goal():
    """Make the policy; `isthmus serve policy:towards_goal` calls this."""

    def policy(observation):  # a dict of arrays (n, 2)
        way = observation["goal"] - observation["position"]
        return {"drive": np.clip(4.0 * way, -1.0, 1.0)}  # m/s, inside the contract's limits

    return policy
