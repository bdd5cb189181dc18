"""Export a trained PPO policy: ONNX, the same network as an npz, and the manifest of both.

The graph takes the observation in physical units and gives the action in -1..1 for all six joints:
scaling is part of it, and so is a zero for the hand. What is left to the manifest is the clip and
the scale to radians.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from reach_vec_env import INPUT_FIELDS, REACH_JOINTS, action_scale, observation_scale
from stable_baselines3 import PPO

from isthmus.export.graph import build
from isthmus.export.network import Activate, Bound, Linear, Network
from isthmus.policy.onnx import import_runtime
from isthmus.sim.mujoco import contract

PARITY = 1e-5
"""The largest difference from Stable-Baselines3's own answer that an export may have."""

Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def layers_of(model: PPO) -> Layers:
    """The policy's mean as an MLP: x @ weight + bias, tanh between layers.

    The observation's scale is folded into the first layer, a zero for the hand into the last.
    """
    policy = model.policy
    linears = [m for m in policy.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
    layers = [
        (m.weight.detach().numpy().T.astype(np.float64), m.bias.detach().numpy().astype(np.float64))
        for m in (*linears, policy.action_net)
    ]
    weight, bias = layers[0]
    layers[0] = weight / observation_scale()[:, None].astype(np.float64), bias
    weight, bias = layers[-1]
    joints = len(action_scale())
    layers[-1] = (
        np.pad(weight, ((0, 0), (0, joints - REACH_JOINTS))),
        np.pad(bias, (0, joints - REACH_JOINTS)),
    )
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]


def export(model: PPO, path: Path, provenance: dict[str, Any]) -> float:
    """Write the model, its npz and its manifest, and check them against the original.

    Args:
        model: the trained policy.
        path: of the ONNX file; the others are written beside it.
        provenance: facts of the training for the manifest.

    Returns:
        The largest difference found, in action units (-1..1).

    Raises:
        RuntimeError: an export differs from the original by more than `PARITY`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = layers_of(model)
    npz = path.with_suffix(".npz")
    arrays = {
        f"{kind}{i}": a for i, pair in enumerate(layers) for kind, a in zip("wb", pair, strict=True)
    }
    np.savez(npz, **arrays)  # type: ignore[arg-type]
    path.write_bytes(build(_network(layers)))
    difference = _parity(model, path, npz)
    if difference > PARITY:
        raise RuntimeError(f"export differs by {difference:.1e}; at most {PARITY:.0e} is allowed")
    _write_manifest(path, npz, {**provenance, "export_max_abs_difference": difference})
    return difference


def _network(layers: Layers) -> Network:
    """Observation in physical units -> action of every joint in -1..1."""
    hidden = [step for pair in layers for step in (Linear(*pair), Activate("tanh"))][:-1]
    (weight, _), (_, bias) = layers[0], layers[-1]
    return Network(
        len(weight), len(bias), (*hidden, Bound(-np.ones_like(bias), np.ones_like(bias)))
    )


def _parity(model: PPO, path: Path, npz: Path) -> float:
    rng = np.random.default_rng(0)
    scale = observation_scale()
    scaled = rng.normal(0.0, 1.5, (4096, len(scale))).astype(np.float32)
    wanted, _ = model.predict(scaled, deterministic=True)
    wanted = np.pad(wanted, ((0, 0), (0, len(action_scale()) - REACH_JOINTS)))
    session = import_runtime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    observed = scaled * scale
    graph = session.run(None, {"obs": observed})[0]
    one = np.concatenate([session.run(None, {"obs": row[None]})[0] for row in observed[:64]])
    differences = {
        "onnx": np.abs(graph - wanted).max(),
        "onnx, one row at a time": np.abs(one - wanted[:64]).max(),
        "npz": np.abs(np.clip(_run_npz(npz, observed), -1, 1) - wanted).max(),
    }
    for name, difference in differences.items():
        print(f"parity with Stable-Baselines3, {name}: {difference:.1e}")
    return float(max(differences.values()))


def _run_npz(npz: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.load(npz) as arrays:
        count = len(arrays.files) // 2
        for i in range(count):
            x = x @ arrays[f"w{i}"] + arrays[f"b{i}"]
            x = np.tanh(x) if i < count - 1 else x
    return x


def _write_manifest(path: Path, npz: Path, provenance: dict[str, Any]) -> None:
    manifest = {
        "manifest_version": 1,
        "kind": "onnx",
        "model": path.name,
        "sha256": _sha256(path),
        "interface_hash": contract().interface_hash,
        "contract": contract().to_dict(),
        "inputs": [{"tensor": "obs", "concat": list(INPUT_FIELDS)}],
        "outputs": [
            {
                "tensor": "action",
                "field": "delta",
                "clip": [-1, 1],
                "scale": [float(s) for s in action_scale()],
                "offset": 0.0,
            }
        ],
        "normalisation": "graph",
        "last_action": None,
        "state": [],
        "numpy": {"model": npz.name, "sha256": _sha256(npz), "activation": "tanh"},
        "provenance": provenance,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    path.with_suffix(".manifest.json").write_text(text + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
