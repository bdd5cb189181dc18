from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.policy import Policy, allocate_action, allocate_observation, allocate_state

JOINTS = ("base", "shoulder", "elbow")


@pytest.fixture
def contract() -> Contract:
    """Three joints, a goal, delta actions at 25 Hz."""
    return Contract(
        name="small",
        observation=(
            Field("q", (3,), "float32", "rad", JOINTS),
            Field("dq", (3,), "float32", "rad/s", JOINTS),
            Field("goal", (2,), "float64", "m"),
        ),
        action=(
            ActionField(
                "delta", (3,), "float32", "rad", JOINTS, semantics="delta", measured_position="q"
            ),
        ),
        control_dt_ns=40_000_000,
        limits={"delta": Limits(max_rate=(3.0, 3.0, 3.0))},
    )


def tensor(name: str, shape: Sequence[Any], dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def graph(inputs: Any, outputs: Any, nodes: Any, constants: dict[str, np.ndarray]) -> Any:
    """An ONNX model of these parts."""
    body = helper.make_graph(
        [helper.make_node(op, list(i), list(o), **kw) for op, i, o, kw in nodes],
        "g",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def mlp_layers(sizes: Sequence[int], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    layers = {}
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers[f"w{i}"] = (rng.normal(size=(a, b)) / a**0.5).astype(np.float32)
        layers[f"b{i}"] = (rng.normal(size=b) * 0.1).astype(np.float32)
    return layers


def mlp_graph(layers: dict[str, np.ndarray], activation: str = "Tanh", batch: Any = "batch") -> Any:
    count = len(layers) // 2
    nodes, current = [], "obs"
    for i in range(count):
        out = "action" if i == count - 1 else f"g{i}"
        nodes.append(("Gemm", (current, f"w{i}", f"b{i}"), (out,), {}))
        if i < count - 1:
            nodes.append((activation, (out,), (f"t{i}",), {}))
            current = f"t{i}"
    return graph(
        [tensor("obs", [batch, len(layers["w0"])])],
        [tensor("action", [batch, layers[f"b{count - 1}"].size])],
        nodes,
        layers,
    )


@dataclass
class Maker:
    """Writes models and manifests into one folder."""

    folder: Path
    contract: Contract

    def manifest(self, **changes: Any) -> dict[str, Any]:
        contract = changes.pop("contract", self.contract)
        base = {
            "manifest_version": 1,
            "kind": "onnx",
            "model": "m.onnx",
            "sha256": "0" * 64,
            "interface_hash": contract.interface_hash,
            "contract": contract.to_dict(),
            "inputs": [{"tensor": "obs", "concat": ["q", "dq", "goal"]}],
            "outputs": [{"tensor": "action", "field": "delta", "clip": [-1, 1], "scale": 0.1}],
            "normalisation": "none",
        }
        return {key: value for key, value in {**base, **changes}.items() if value is not ...}

    def write(self, model: Any, name: str = "m.onnx", **changes: Any) -> Path:
        """Write a model, given as protobuf or bytes, and its manifest."""
        data = model if isinstance(model, bytes) else model.SerializeToString()
        path = self.folder / name
        path.write_bytes(data)
        changes.setdefault("sha256", hashlib.sha256(data).hexdigest())
        text = json.dumps(self.manifest(model=name, **changes))
        (self.folder / f"{path.stem}.manifest.json").write_text(text)
        return path

    def npz(self, layers: dict[str, np.ndarray], name: str = "m.npz") -> dict[str, str]:
        """Write layers and give the manifest's `numpy` section, tanh."""
        np.savez(self.folder / name, **layers)
        sha256 = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
        return {"model": name, "sha256": sha256, "activation": "tanh"}

    def mlp(self, sizes: Sequence[int] = (8, 16, 16, 3), **changes: Any) -> Path:
        """Write a small network that fits the contract, with its twin."""
        layers = mlp_layers(sizes)
        changes.setdefault("numpy", self.npz(layers))
        return self.write(mlp_graph(layers), **changes)


@pytest.fixture
def maker(tmp_path: Path, contract: Contract) -> Maker:
    assert onnx.__version__
    return Maker(tmp_path, contract)


@pytest.fixture
def build() -> Any:
    """The builders above, for test modules."""

    class Build:
        graph = staticmethod(graph)
        tensor = staticmethod(tensor)
        mlp_layers = staticmethod(mlp_layers)
        mlp_graph = staticmethod(mlp_graph)

    return Build


Step = Callable[..., dict[str, np.ndarray]]


@pytest.fixture
def step() -> Step:
    """Call a policy once with random, seeded observations; also what came before and after."""

    def run(policy: Policy, n: int = 1, *, seed: int = 0, state: Any = None) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        observation = allocate_observation(policy.contract, n)
        for array in observation.values():
            if array.dtype.kind == "f":
                array[...] = rng.normal(size=array.shape)
            else:
                array[...] = rng.integers(0, 2 if array.dtype.kind == "b" else 100, array.shape)
        action = allocate_action(policy.contract, n)
        state = policy.initial_state(n) if state is None else state
        next_state = allocate_state(state)
        policy.infer(observation, action, state, next_state)
        return {"observation": observation, "action": action, "next_state": next_state}

    return run
