"""Train a policy for `isthmus/RoArmReach-v0` with PPO, export it and measure the export.

python training/train_reach.py --out policies/reach.onnx
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from reach_vec_env import FIELD_SCALES, INPUT_FIELDS, ReachVecEnv, action_scale
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed

from export import export
from isthmus.policy.onnx import import_runtime
from isthmus.sim.mujoco import ENV_ID, contract, evaluate

# What the run is made of; every entry goes into the manifest.
SETTINGS: dict[str, Any] = {
    "num_envs": 32,
    "n_steps": 64,
    "batch_size": 1024,
    "n_epochs": 8,
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-4,
    "gamma": 0.95,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.0,
    "log_std_init": -1.0,
    "hidden": [64, 64],
}


class _Progress(BaseCallback):
    """Print, now and then, how many of the last episodes succeeded."""

    def __init__(self, envs: ReachVecEnv, every_s: float = 10.0) -> None:
        super().__init__()
        self._envs = envs
        self._every_s = every_s
        self._start = self._next = time.perf_counter()

    def _on_step(self) -> bool:
        now = time.perf_counter()
        if now >= self._next and self._envs.successes:
            self._next = now + self._every_s
            recent = self._envs.successes[-500:]
            print(
                f"{now - self._start:6.1f} s  {self.num_timesteps:8d} steps  "
                f"success {np.mean(recent):6.1%}  std {self.model.policy.log_std.exp().mean():.3f}",
                flush=True,
            )
        return True


def train(seed: int, steps: int) -> tuple[PPO, float]:
    """Train from scratch.

    Args:
        seed: of the network, the sampling and the arms.
        steps: control steps, over all arms.

    Returns:
        The model, and how long learning took in seconds.
    """
    torch.set_num_threads(1)
    set_random_seed(seed)
    envs = ReachVecEnv(SETTINGS["num_envs"], seed)
    first, last = SETTINGS["learning_rate"], SETTINGS["final_learning_rate"]
    names = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range", "ent_coef")
    model = PPO(
        "MlpPolicy",
        envs,
        learning_rate=lambda left: last + (first - last) * left,
        policy_kwargs={
            "net_arch": SETTINGS["hidden"],
            "log_std_init": SETTINGS["log_std_init"],
        },
        seed=seed,
        device="cpu",
        **{name: SETTINGS[name] for name in names},
    )
    start = time.perf_counter()
    model.learn(steps, callback=_Progress(envs))
    return model, time.perf_counter() - start


def onnx_act(path: Path) -> Callable[[dict[str, NDArray[np.float32]]], NDArray[np.float32]]:
    """Run an exported model by itself, as the manifest says: clip, then scale to radians."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    scale = action_scale()

    def act(observation: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        row = np.concatenate([observation[name] for name in INPUT_FIELDS])[None]
        action = session.run(None, {"obs": row})[0][0]
        return np.asarray(np.clip(action, -1, 1) * scale, dtype=np.float32)

    return act


def origin(args: argparse.Namespace) -> dict[str, Any]:
    """What this training is made of; taken before it starts, and kept in the manifest."""
    packages = ("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy", "onnx")
    return {
        "script": "training/train_reach.py",
        "environment": ENV_ID,
        "seed": args.seed,
        "steps": args.steps,
        "settings": SETTINGS,
        "observation_scale": FIELD_SCALES,
        "git_sha": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--", "src/isthmus/sim", "training")),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def _git(*words: str) -> str:
    run = subprocess.run(("git", *words), capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else ""


def main() -> int:
    """Train, export, evaluate; exit 1 if the export reaches less often than asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("policies/reach.onnx"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--episodes", type=int, default=200, help="evaluated after the export")
    parser.add_argument("--at-least", type=float, default=0.9, help="success rate to reach")
    args = parser.parse_args()
    print(f"interface {contract().interface_hash[:12]}, seed {args.seed}, {args.steps} steps")
    facts = origin(args)
    model, seconds = train(args.seed, args.steps)
    facts["train_seconds"] = round(seconds, 1)
    export(model, args.out, facts)
    result = evaluate(onnx_act(args.out), episodes=args.episodes)
    facts["evaluation"] = result.to_dict()
    export(model, args.out, facts)
    print(f"trained in {seconds:.0f} s; {args.out}: {result.to_dict()}")
    return 0 if result.success_rate >= args.at_least else 1


if __name__ == "__main__":
    raise SystemExit(main())
