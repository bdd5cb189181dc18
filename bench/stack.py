"""The whole stack, as its user sees it: one `link.act()` after the other.

    python -m bench.stack URL PAYLOAD CODEC UPGRADE PACING     binary|json yes|no realtime|lockstep

In lockstep a link has no gate. The deadline is the default; simulation time advances by one control
period a step, as a simulator's does. Steps that the policy did not answer in time are counted, not
hidden. Beside the samples each burst brings the medians of what `action.timing` says of its stages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import isthmus
from isthmus import Contract
from isthmus.client.action import Action, Timing

from .bursts import serve_bursts, time_steps
from .payloads import PAYLOADS, Array


def observation_of(contract: Contract, num_envs: int | None) -> dict[str, Array]:
    """Small numbers in the shape of an observation."""
    axis = () if num_envs is None else (num_envs,)
    return {f.name: np.full((*axis, *f.shape), 0.1, f.dtype) for f in contract.observation}


def medians_us(timings: list[Timing]) -> dict[str, float]:
    """The median of every stage, in microseconds."""
    if not timings:
        return {}
    medians = np.median(np.array(timings, np.float64), axis=0) / 1e3
    return dict(zip(Timing._fields, medians.round(2).tolist(), strict=True))


def main(url: str, payload: str, codec: str, upgrade: str, pacing: str) -> None:
    """Connect, and answer the runner's bursts."""
    num_envs = PAYLOADS[payload].num_envs
    with isthmus.connect(
        url, num_envs=num_envs, codec=codec, upgrade=upgrade == "yes", pacing=pacing
    ) as link:
        act: Callable[..., Action] = link.act
        observation = observation_of(link.contract, num_envs)
        control_dt = link.contract.control_dt
        sim_time = 0.0
        actions: list[tuple[str, Timing]] = []

        def step() -> None:
            nonlocal sim_time
            sim_time += control_dt
            action = act(sim_time=sim_time, **observation)
            actions.append((action.status, action.timing))

        def burst(seconds: float, hz: float) -> dict[str, Any]:
            actions.clear()
            times = time_steps(step, seconds, hz)
            answered = [timing for status, timing in actions if status == "policy"]
            missed = len(actions) - len(answered)
            return {**times, "missed": missed, "stages": medians_us(answered)}

        link.reset(seed=7)
        serve_bursts(burst)


if __name__ == "__main__":
    main(*sys.argv[1:])
