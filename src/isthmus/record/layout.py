"""What a run directory looks like: names, versions and the run id. Pure.

::

    runs/20261122T101500Z-3f9a1c/
        meta.json            who ran what, where and with which settings; rewritten at the end
        metrics.json         counts and quantiles, computed from the episodes
        episodes/0000.npz    one array per column, steps first, and `facts` (JSON text)
        report.html          the run as a page

A program records the columns it likes. These are the ones that metrics and the page understand::

    status          index into STATUSES: where the action came from
    miss            no valid answer by the deadline
    cause           why it is not the policy's action, one word; "" if it is
    <stage>_ns      time of each stage of `act()`, and `total_ns`
    wall_ns         nanoseconds since the Unix epoch, at the end of the step
    target          commanded joint positions, rad
    (the contract's measured_position)  measured joint positions, rad

And the facts of an episode that they understand::

    success             the episode's goal was reached
    randomization       the values it ran with, read back from the simulator
    rand_hash           their hash; `randomization_hash` of `meta.json` is that of all of these
    expected_rand_hash  the hash of the values that were drawn
    rand_difference     the first value in which the two differ: key, expected_value, actual_value

A file appears whole or not at all. A run whose program died has the state `running` in its
`meta.json` and every episode that had ended.
"""

from __future__ import annotations

import re

from isthmus.runids import run_id

__all__ = [
    "EPISODES",
    "FACTS",
    "META",
    "META_VERSION",
    "METRICS",
    "REPORT",
    "STATES",
    "STATUSES",
    "episode_name",
    "run_id",
]

META_VERSION = 1
META = "meta.json"
METRICS = "metrics.json"
REPORT = "report.html"
EPISODES = "episodes"

FACTS = "facts"
"""Key of an episode file that holds what is true of the whole episode, as JSON text."""

STATES: tuple[str, ...] = ("running", "finished", "interrupted", "failed")

STATUSES: tuple[str, ...] = ("policy", "bridged", "stopping", "stopped", "estop", "disarmed")
"""Column `status` holds an index into this: where an action came from, as `Action.status`."""

EPISODE_PATTERN = re.compile(r"\A[0-9]{4,}\.npz\Z")


def episode_name(index: int) -> str:
    """File name of the episode counted from 0."""
    return f"{index:04d}.npz"
