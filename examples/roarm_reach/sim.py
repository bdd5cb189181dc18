"""The simulator's side: an arm in MuJoCo that reaches goal after goal.

    python sim.py unix:isthmus.sock --duration 20

Runs in the simulator's Python. Its policy sits behind the URL, in another. Each episode is 60
steps of 40 ms towards one goal; the arm goes on from where the last one left it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import isthmus
from isthmus.record import (
    STATUSES,
    EpisodeRecorder,
    Run,
    git_facts,
    host_facts,
    interpreter_facts,
)
from isthmus.record.metrics import STAGES
from isthmus.sim import mujoco as roarm


def main() -> int:
    """Run the episodes, save them, and tell whoever asked how it went."""
    args = parse()
    tell = Teller(args.status_fd)
    contract = roarm.contract()
    episodes = max(1, round(args.duration / (roarm.EPISODE_STEPS * contract.control_dt)))
    env = gymnasium.make(roarm.ENV_ID)
    with isthmus.connect(
        args.url,
        contract=contract,
        joints=roarm.JOINT_NAMES,
        deadline=args.deadline,
        upgrade=args.upgrade,
        rearm="auto",
    ) as link:
        run = Run.create(args.runs, facts_of(args, link))
        tell("running", episodes=episodes, run=str(run.path))
        state, overruns = "failed", 0
        try:
            overruns = reach(env, link, run, episodes, args.seed)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        finally:
            env.close()
            summary = {"episodes_planned": episodes, "rate_overruns": overruns}
            metrics = run.finish(summary, state=state)
    tell("ended", state=state, metrics=metrics, run=str(run.path), meta=run.meta)
    return 0 if state == "finished" else 130


def reach(
    env: gymnasium.Env[Any, Any], link: isthmus.Link, run: Run, episodes: int, seed: int
) -> int:
    """The control loop. Returns how many of its ticks came late."""
    dt = link.contract.control_dt
    rate = isthmus.Rate(1 / dt)
    progress = Progress(episodes)
    for index in range(episodes):
        observation, info = env.reset(seed=seed + index, options={"keep_pose": index > 0})
        link.reset(seed=seed + index)
        facts = {"seed": seed + index, "started_ns": time.time_ns()}
        with run.episode(**facts, randomization=info["randomization"]) as episode:
            truncated = False
            while not truncated:
                seen, moment = observation, info["steps"] * dt
                action = link.act(**seen, sim_time=moment)
                observation, _, _, truncated, info = env.step(action["delta"])
                note(episode, seen, moment, action, env.unwrapped.reach.target)
                progress.step(index, action)
                rate.sleep()
            episode.finish(
                success=info["is_success"], distance=info["distance"], ended_ns=time.time_ns()
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
        "policy_side": side_of(link.gateway),
        "sim": interpreter_facts(),
        "host": host_facts(),
        "git": git_facts(Path(__file__).resolve().parent),
        **(json.loads(args.peer.read_text(encoding="utf-8")) if args.peer else {}),
    }


def side_of(gateway: Mapping[str, Any]) -> dict[str, Any]:
    """What a gateway says of itself, in the form of `interpreter_facts`."""
    packages = {name: gateway[name] for name in ("isthmus", "numpy") if name in gateway}
    return {"python": gateway.get("python", "?"), "packages": packages}


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


class Teller:
    """Writes one JSON line per event to a descriptor, or the last one to stdout without one."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def __call__(self, event: str, **facts: Any) -> None:
        """Tell of an event."""
        line = json.dumps({"event": event, **facts}) + "\n"
        if self._fd is not None:
            with os.fdopen(os.dup(self._fd), "w", encoding="utf-8") as file:
                file.write(line)
        elif event == "ended":
            print(line, end="")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="An arm in MuJoCo, moved by a policy elsewhere.")
    parser.add_argument("url", help="where the gateway listens")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds, in whole episodes")
    parser.add_argument("--deadline", type=float, default=0.032, help="seconds per action")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are saved")
    parser.add_argument(
        "--no-upgrade",
        dest="upgrade",
        action="store_false",
        help="stay on the URL's transport where shared memory would be possible",
    )
    parser.add_argument("--peer", type=Path, help="JSON file with facts this side cannot know")
    parser.add_argument("--status-fd", type=int, help="descriptor to tell of progress on")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the first step, or twice
        sys.exit(130)
