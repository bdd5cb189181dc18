"""The simulator's side: an arm in MuJoCo that reaches goal after goal.

    isthmus up demo -- --duration 20                # with its gateway: what `make demo` does
    python sim.py unix:isthmus.sock --duration 20    # beside a gateway that is there

Runs in the simulator's Python. Its policy sits behind the URL, in another. Each episode is 60
steps of 40 ms towards one goal; the arm goes on from where the last one left it. At the end one
table is printed, and the run is drawn as a page (`report.py`).

Exit status: 0 if the arm reached at least 70 % of its goals; 1 if it did not; 2 if the command line
is wrong; 130 if interrupted. Episodes during which the gateway was stopped on purpose (`--stall`)
are set aside, and the others must reach.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from report import draw
from stall import Stall
from table import table

import isthmus
from isthmus.record import (
    STATUSES,
    EpisodeRecorder,
    Run,
    git_facts,
    host_facts,
    interpreter_facts,
    randomization_facts,
)
from isthmus.record.metrics import STAGES
from isthmus.sim import mujoco as roarm

ENOUGH = 0.7
"""Share of the goals that makes a run a success."""

MAX_DEADLINE = 1.0
"""Seconds, 25 periods of the arm's control: who waits longer holds up the loop, not the policy."""

NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "duration": (lambda s: 0 < s < math.inf, "seconds above 0"),
    "deadline": (lambda s: 0 < s <= MAX_DEADLINE, f"seconds above 0, at most {MAX_DEADLINE:g}"),
    "stall": (lambda s: 0 <= s < math.inf, "seconds of at least 0"),
    "seed": (lambda n: n >= 0, "a whole number of at least 0"),
}
"""Option -> what it takes, and that in words."""


def main() -> int:
    """Run the episodes, save them, and say how it went."""
    args = parse()
    contract = roarm.contract()
    episodes = max(1, round(args.duration / (roarm.EPISODE_STEPS * contract.control_dt)))
    # Half-way, and in the middle of a movement: there is nothing to see between two of them.
    moment = episodes // 2 * roarm.EPISODE_STEPS + roarm.EPISODE_STEPS // 3
    stall = Stall(args.gateway_pid, args.stall, moment)
    env = gymnasium.make(roarm.ENV_ID)
    with isthmus.connect(
        args.tcp if args.transport == "tcp" else args.url,
        contract=contract,
        joints=roarm.JOINT_NAMES,
        deadline=args.deadline,
        upgrade=args.transport == "shm",
        rearm="auto",
    ) as link:
        run = open_run(facts_of(args, link))
        state, overruns = "failed", 0
        try:
            overruns = reach(env, link, run, episodes, args.seed, stall)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        finally:
            stall.end()
            env.close()
            run.meta.update(stall.facts())
            summary = {"episodes_planned": episodes, "rate_overruns": overruns}
            metrics = run.finish(summary, state=state)
    draw(run.path)
    if state == "interrupted":
        print(f"interrupted; what was recorded is in {run.path}", flush=True)
        return 130
    counted = [e for e in run.meta["episodes"] if not stall.touched(e)]
    print(table(run.path, run.meta, metrics, counted), flush=True)
    reached = sum(e["success"] for e in counted)
    return 0 if reached >= ENOUGH * len(counted) else 1


def reach(
    env: gymnasium.Env[Any, Any],
    link: isthmus.Link,
    run: Run,
    episodes: int,
    seed: int,
    stall: Stall,
) -> int:
    """The control loop. Returns how many of its ticks came late."""
    dt = link.contract.control_dt
    rate = isthmus.Rate(1 / dt)
    progress = Progress(episodes)
    for index in range(episodes):
        observation, info = env.reset(seed=seed + index, options={"keep_pose": index > 0})
        applied, drawn = info["randomization"], info["drawn"]
        link.reset(seed=seed + index, randomization=applied, expected_randomization=drawn)
        facts = {
            "seed": seed + index,
            "started_ns": time.time_ns(),
            **randomization_facts(applied, drawn),
        }
        with run.episode(**facts) as episode:
            truncated, echoes = False, 0
            while not truncated:
                seen, moment = observation, info["steps"] * dt
                action = link.act(**seen, sim_time=moment)
                echoes += action.rand_hash == facts["rand_hash"]
                observation, _, _, truncated, info = env.step(action["delta"])
                note(episode, seen, moment, action, env.unwrapped.reach.target)
                stall.step()
                progress.step(index, action)
                rate.sleep()
            episode.finish(
                success=info["is_success"],
                distance=info["distance"],
                ended_ns=time.time_ns(),
                rand_hash_echoes=echoes,
            )
        progress.goal(info["is_success"])
    progress.end()
    return int(rate.overruns)


def note(
    episode: EpisodeRecorder,
    observation: Mapping[str, Any],
    sim_time: float,
    action: Any,
    target: Any,
) -> None:
    """Record one step: what was seen, what was commanded, where it came from, what it cost."""
    episode.append(
        **observation,
        delta=action["delta"],
        target=target,
        status=np.uint8(STATUSES.index(action.status)),
        cause=action.cause,
        miss=action.status != "policy",
        clipped=action.clipped,
        rate_limited=action.rate_limited,
        seq=action.seq,
        sim_time=sim_time,
        wall_ns=time.time_ns(),
        **{f"{stage}_ns": getattr(action.timing, stage) for stage in STAGES},
    )


def facts_of(args: argparse.Namespace, link: isthmus.Link) -> dict[str, Any]:
    """What the run is, for its `meta.json`."""
    contract = link.contract
    return {
        "name": "roarm_reach",
        "seed": args.seed,
        "transport": link.transport,
        "pacing": "realtime",
        "deadline_ns": round(args.deadline * 1e9),
        "contract": contract.to_dict(),
        "interface_hash": link.interface_hash,
        "limits_hash": contract.limits_hash,
        "task": {"success_distance": roarm.TOLERANCE, "hold_steps": roarm.HOLD_STEPS},
        "policy": link.policy,
        "policy_side": policy_side(link.gateway),
        "sim": interpreter_facts(),
        "host": host_facts(),
        "git": git_facts(Path(__file__).resolve().parent),
    }


def policy_side(gateway: Mapping[str, Any]) -> dict[str, Any]:
    """The other side, in the form of `interpreter_facts`.

    What `isthmus up` examined before it started that side; else what the gateway says of itself.
    """
    folder = os.environ.get("ISTHMUS_RUN_DIR")
    if folder:
        up = json.loads(Path(folder, "up.json").read_text(encoding="utf-8"))
        return dict(up["runtimes"]["policy"])
    packages = {name: gateway[name] for name in ("isthmus", "numpy") if name in gateway}
    return {"python": gateway.get("python", "?"), "packages": packages}


def open_run(facts: Mapping[str, Any]) -> Run:
    """Begin the run's directory: that of `isthmus up`, or a new one below `runs`."""
    folder = os.environ.get("ISTHMUS_RUN_DIR")
    if folder:
        return Run.create(Path(folder).parent, facts, run_id=Path(folder).name)
    return Run.create("runs", facts)


class Progress:
    """One line that says how it goes: rewritten on a terminal, one per goal elsewhere."""

    def __init__(self, episodes: int) -> None:
        self._episodes = episodes
        self._start = time.monotonic()
        self._index = self._reached = self._misses = 0
        self._total_ns: list[int] = []
        self._tty = sys.stderr.isatty()

    def step(self, index: int, action: Any) -> None:
        """Count a step."""
        self._index = index
        self._misses += action.status != "policy"
        self._total_ns.append(action.timing.total)
        if self._tty and len(self._total_ns) % 5 == 0:
            self._show("\r", "\x1b[K")

    def goal(self, reached: bool) -> None:
        """Count an episode."""
        self._reached += reached
        if not self._tty:
            self._show("", "\n")

    def end(self) -> None:
        """Leave the line."""
        if self._tty:
            self._show("\r", "\x1b[K\n")

    def _show(self, before: str, after: str) -> None:
        p50, p99 = np.quantile(self._total_ns, (0.5, 0.99)) / 1e6
        line = (
            f"{time.monotonic() - self._start:5.1f} s  goal {self._index + 1} of {self._episodes}"
            f"  reached {self._reached}  p50 {p50:.2f} ms  p99 {p99:.2f} ms"
            f"  no answer {self._misses}"
        )
        sys.stderr.write(before + line + after)
        sys.stderr.flush()


def parse() -> argparse.Namespace:
    """Read the command line, and check what can be checked before anything moves."""
    parser = argparse.ArgumentParser(description="An arm in MuJoCo, moved by a policy elsewhere.")
    add = parser.add_argument
    add("url", help="where the gateway listens")
    add("--duration", type=float, default=20.0, metavar="S",
        help="seconds, in whole episodes; default 20")  # fmt: skip
    add("--transport", choices=("shm", "unix", "tcp"), default="shm", help="default shm")
    add("--tcp", metavar="URL", help="where the gateway listens for tcp")
    add("--deadline", type=float, default=0.032, metavar="S",
        help=f"seconds per action, at most {MAX_DEADLINE:g}; default 0.032")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N",
        help="the first episode's; the others count up from it")  # fmt: skip
    add("--stall", type=float, default=0.0, metavar="S", help="stop the gateway S s, half-way")
    add("--gateway-pid", type=int, metavar="N", help="the process that --stall stops")
    args = parser.parse_args()
    for name, (fits, wanted) in NUMBERS.items():
        if not fits(getattr(args, name)):
            parser.error(f"--{name}: expected {wanted}, got {getattr(args, name)}")
    if args.transport == "tcp" and args.tcp is None:
        parser.error("--transport tcp: say with --tcp where the gateway listens")
    if args.stall and args.gateway_pid is None:
        parser.error("--stall: say with --gateway-pid which process is to stop")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the first step, or twice
        sys.exit(130)
