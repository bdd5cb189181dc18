"""`isthmus evaluate POLICY`: how often a policy reaches, on seeds it has never seen."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from isthmus.client import connect
from isthmus.errors import Error, MissingDependencyError
from isthmus.policy.contract_file import read_contract
from isthmus.policy.packages import how_to_install

from .arguments import check_bounds, check_writable, find_code_here
from .foreign import exported

URL_SCHEMES = ("shm:", "unix:", "tcp:", "memory:")
BOUNDS: dict[str, tuple[float, float]] = {
    "episodes": (1, math.inf),
    "seed": (0, 2**63 - 1),
    "at-least": (0, 1),
}


EPILOG = """\
exit status: 0 if the success rate is at least --at-least; 1 if it is lower; 2 if there is no
result.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus evaluate`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "policy",
        metavar="POLICY",
        help="a model file, as `isthmus serve` takes it, or the URL of a gateway that serves it",
    )  # fmt: skip)
    add("--contract", metavar="FILE", help="the contract, for a policy that brings none")
    add("--episodes", type=int, default=200, metavar="N", help="how many; default 200")
    add(
        "--seed",
        type=int,
        default=None,
        metavar="N",
        help="the first episode's; the others count up from it",
    )
    add("--no-randomize", action="store_true", help="turn domain randomization off")
    add("--at-least", type=float, default=0.0, metavar="RATE",
        help="exit with status 1 if the success rate is lower; 0 to 1")  # fmt: skip
    add("--json", metavar="FILE", help="write the result here too")


def run(args: argparse.Namespace) -> int:
    """Run the episodes through a link in lockstep, and print what came of them."""
    check_bounds(args, BOUNDS)
    check_writable("json", args.json)
    try:
        from isthmus.sim.mujoco import evaluate
        from isthmus.sim.mujoco.evaluation import EVALUATION_SEED
    except ImportError as exc:
        raise MissingDependencyError(
            f"the reaching task needs {exc.name}: {how_to_install('mujoco', 'gymnasium')}"
        ) from exc
    contract = read_contract(args.contract) if args.contract else None
    remote = args.policy.startswith(URL_SCHEMES)
    url = args.policy if remote else f"memory:{exported(args.policy, contract)}"
    seed = EVALUATION_SEED if args.seed is None else args.seed
    find_code_here([url.removeprefix("memory:")])
    started = monotonic()
    with connect(url, pacing="lockstep", contract=contract) as link:

        def on_reset(seed: int, info: Mapping[str, Any]) -> None:
            link.reset(seed=seed)

        found = evaluate(
            lambda observation: link.act(observation)["delta"],
            episodes=args.episodes,
            seed=seed,
            randomize=not args.no_randomize,
            on_reset=on_reset,
        )
        facts = {"policy": link.policy, "interface_hash": link.interface_hash, **found.to_dict()}
    facts["seconds"] = round(monotonic() - started, 1)
    if args.json:
        _write(args.json, facts)
    policy = facts["policy"]
    print(
        f"{policy['name']} ({policy['kind']}): {facts['success_rate']:.1%} of "
        f"{facts['episodes']} episodes, seeds from {seed}, randomization "
        f"{'on' if facts['randomize'] else 'off'}; tip to goal at the end: median "
        f"{facts['median_distance_m'] * 1e3:.1f} mm, p95 {facts['p95_distance_m'] * 1e3:.1f} mm; "
        f"{facts['seconds']} s"
    )
    if found.success_rate < args.at_least:
        print(f"lower than the {args.at_least:.1%} asked for", file=sys.stderr)
        return 1
    return 0


def _write(path: str, facts: Mapping[str, Any]) -> None:
    try:
        Path(path).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise Error(f"--json: {path} cannot be written: {exc.strerror or exc}") from exc
