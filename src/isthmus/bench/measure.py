"""Round trips of several cases, in turns, so that a noisy minute falls on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic_ns
from typing import Any

import numpy as np

from isthmus.client import Link, Rate, connect
from isthmus.client.action import STAGES
from isthmus.errors import Error

from .cases import WAYS, Case
from .rows import Row, Settings

__all__ = ["measure"]


class _Runner:
    """One case with its link."""

    def __init__(self, case: Case, link: Link) -> None:
        self.case = case
        self.link = link
        self.samples: list[int] = []
        self.timings: list[tuple[int, ...]] = []
        self.missed = 0
        self._moment = 0.0
        axis = () if case.num_envs is None else (case.num_envs,)
        self._observation: dict[str, Any] = {
            field.name: np.full((*axis, *field.shape), 0.1, field.dtype)
            for field in link.contract.observation
        }

    def run(self, steps: int, hz: float, seconds: float, *, keep: bool) -> None:
        """Take this many steps, or as many as the time allows, at least one."""
        until = monotonic_ns() + int(seconds * 1e9)
        rate = Rate(hz) if hz else None
        act, observation, dt = self.link.act, self._observation, self.link.contract.control_dt
        for _ in range(steps):
            if rate is not None:
                rate.sleep()
            self._moment += dt
            started = monotonic_ns()
            action = act(observation, sim_time=self._moment)
            took = monotonic_ns() - started
            if keep and action.status == "policy":
                self.samples.append(took)
                self.timings.append(action.timing)
            elif keep:
                self.missed += 1
            if started + took > until:
                return

    def row(self) -> Row:
        """What was found."""
        if not self.samples:
            return _left_out(self.case, f"none of {self.missed} steps was answered by the policy")
        values = np.median(np.array(self.timings, np.float64), axis=0)
        medians = dict(zip(STAGES, map(float, values), strict=True))
        samples = np.array(self.samples, np.int64)
        return Row(self.case, self.link.transport, samples, medians, self.missed)


def measure(
    cases: Sequence[Case], settings: Settings, tell: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure these cases, a part of each in turn.

    Args:
        cases: what to measure; their gateways run.
        settings: how.
        tell: hears what is going on.

    Returns:
        A row per case, in the same order. A case that cannot be connected, or whose frames do
        not travel in its way, is left out with the reason.
    """
    rows: list[Row | None] = [None] * len(cases)
    with ExitStack() as stack:
        runners: list[_Runner] = []
        places: list[int] = []
        for place, case in enumerate(cases):
            try:
                link = stack.enter_context(_connect(case, settings.timeout))
            except Error as exc:
                rows[place] = _left_out(case, str(exc))
                continue
            wanted = "tcp" if case.way == "json" else case.way
            if link.transport != wanted:
                reason = f"frames travel by {link.transport}"
                if link.transport_note and WAYS[case.way].upgrade:
                    reason += f": {link.transport_note}"
                rows[place] = _left_out(case, reason)
                continue
            link.reset()
            runners.append(_Runner(case, link))
            places.append(place)
        for runner in runners:
            runner.run(settings.warmup, 0.0, settings.seconds / 10, keep=False)
        rounds = max(1, min(settings.rounds, settings.iterations))
        for turn in range(rounds):
            tell(f"round {turn + 1} of {rounds}")
            steps = _share(settings.iterations, turn, rounds)
            shift = turn % len(runners) if runners else 0
            for runner in runners[shift:] + runners[:shift]:  # nobody always follows the same
                runner.run(steps, settings.hz, settings.seconds / rounds, keep=True)
        for place, runner in zip(places, runners, strict=True):
            rows[place] = runner.row()
    return [row for row in rows if row is not None]


def _share(total: int, turn: int, rounds: int) -> int:
    """How many of all steps belong to this turn."""
    return total * (turn + 1) // rounds - total * turn // rounds


def _connect(case: Case, timeout: float) -> Link:
    way = WAYS[case.way]
    return connect(
        case.url,
        contract=case.contract,
        policy=case.policy or None,
        num_envs=case.num_envs,
        codec=way.codec,
        upgrade=way.upgrade,
        timeout=timeout,
    )


def _left_out(case: Case, reason: str) -> Row:
    return Row(case, "", np.zeros(0, np.int64), {}, 0, reason.splitlines()[0])
