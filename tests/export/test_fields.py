"""Names for a policy's numbers, given, said or found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.errors import ContractError, PolicyLoadError
from isthmus.export import Naming
from isthmus.policy import allocate_action, load

from .conftest import FIXTURES, export

ARM = Contract(
    "arm",
    (
        Field("goal", (2,), "float32"),
        Field("q", (3,), "float64", "rad"),
        Field("x", (1,), "float32"),
    ),
    (
        ActionField("reach", (1,), "float64", semantics="velocity"),
        ActionField("turn", (1,), "float32", semantics="velocity"),
    ),
    20_000_000,
    limits={"reach": Limits(max_rate=(1.0,))},
)


def test_a_contract_gives_the_names_and_takes_the_order(tmp_path: Path) -> None:
    naming = Naming(contract=ARM, observation=("q", "goal"), scale=0.5)
    manifest = export("td3", tmp_path, naming=naming)
    assert manifest["contract"] == json.loads(json.dumps(ARM.to_dict()))
    assert manifest["inputs"] == [{"tensor": "obs", "concat": ["q", "goal"]}]
    assert [o["field"] for o in manifest["outputs"]] == ["reach", "turn"]
    assert manifest["provenance"]["assumed"] == [
        "it was trained without VecNormalize, which its file does not say"
    ]
    policy = load(tmp_path / "td3.onnx")
    with np.load(FIXTURES / "td3.npz") as recorded:
        rows, wanted = recorded["observations"], recorded["actions"]
    action = allocate_action(ARM, len(rows))
    given = {"q": rows[:, :3].astype(np.float64), "goal": rows[:, 3:].copy(),
             "x": np.zeros((len(rows), 1), np.float32)}  # fmt: skip
    policy.infer(given, action, {}, {})
    policy.close()
    got = np.concatenate([action["reach"], action["turn"]], axis=1)
    np.testing.assert_allclose(got, 0.5 * wanted, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize(
    ("naming", "message"),
    [
        (Naming(contract=ARM), r"takes 5 numbers.*goal \(2\), q \(3\), x \(1\) have 6"),
        (Naming(contract=ARM, observation=("q", "y")), "'y', which is no field"),
        (Naming(contract=ARM, observation=("q:3", "goal")), "'q:3'.*without widths"),
        (Naming(contract=ARM, semantics="delta"), "leave --semantics"),
        (Naming(observation=("q:3",), fallback="hold"), "has 3 numbers, the policy takes 5"),
        (Naming(observation=("q",), fallback="hold"), "expected NAME:WIDTH, got 'q'"),
        (Naming(observation=("q:2", "q:3"), fallback="hold"), "twice"),
        (Naming(observation=("q:0", "x:5"), fallback="hold"), "expected NAME:WIDTH"),
        (Naming(), "--fallback"),
        (Naming(semantics="position"), "'robot'|hold"),
        (Naming(scale=0.0), "other than 0"),
        (Naming(scale=float("nan")), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(naming: Naming, message: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=message):
        export("td3", tmp_path, naming=naming)
    assert list(tmp_path.iterdir()) == []


def test_an_action_of_another_width_is_refused(tmp_path: Path) -> None:
    one = Contract("one", ARM.observation[:2], ARM.action[:1], 20_000_000)
    with pytest.raises(ContractError, match="answers 2 numbers, and the contract's action has 1"):
        export("td3", tmp_path, naming=Naming(contract=one))


def test_fields_by_name_and_width(tmp_path: Path) -> None:
    naming = Naming(observation=("q:2", "goal:3"), semantics="position", fallback="hold",
                    control_dt=0.01)  # fmt: skip
    contract = export("a2c", tmp_path, naming=naming)["contract"]
    assert [(f["name"], f["shape"]) for f in contract["observation"]] == [("q", [2]), ("goal", [3])]
    assert contract["control_dt_ns"] == 10_000_000
    (action,) = contract["action"]
    assert (action["name"], action["measured_position"]) == ("action", "q")
    assert contract["limits"] == {"action": {"low": [-1.0, -2.0], "high": [1.0, 3.0]}}


def test_a_scale_reaches_the_limits_and_the_manifest(tmp_path: Path) -> None:
    manifest = export("ppo_tanh", tmp_path, naming=Naming(scale=-0.05))
    assert manifest["outputs"][0]["scale"] == -0.05
    assert manifest["contract"]["limits"]["delta"]["max_rate"] == [1.25, 1.25, 1.25]


def test_a_class_becomes_a_scalar(tmp_path: Path) -> None:
    (action,) = export("dqn", tmp_path)["contract"]["action"]
    assert (action["shape"], action["dtype"], action["semantics"]) == ([], "int64", "opaque")
    with pytest.raises(ContractError, match="answers a class"):
        export("dqn", tmp_path, naming=Naming(fallback="hold", scale=2.0))
    other: dict[str, Any] = {"contract": Contract(
        "c", (Field("o", (4,), "float32"),),
        (ActionField("a", (), "float32", fallback="hold"),), 1_000_000,
    )}  # fmt: skip
    with pytest.raises(PolicyLoadError, match="int64 cannot become float32"):
        export("dqn", tmp_path, naming=Naming(**other))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 5))}, "neither 'observations' nor 'observation'"),
        ({"observations": np.zeros((3, 4))}, "rows of 5 numbers"),
        ({"observations": np.zeros((0, 5))}, "rows of 5 numbers"),
        ({"observations": np.full((3, 5), np.nan)}, "finite rows"),
        ({"observations": np.zeros((3, 5)), "actions": np.zeros((2, 2))}, "actions must be"),
        ({"observations": np.array([[None] * 5])}, "pickle"),
    ],
)
def test_recordings_that_do_not_fit(arrays: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    np.savez(path, **arrays)
    with pytest.raises(PolicyLoadError, match=message):
        export("td3", tmp_path, observations=path)


def test_recordings_by_field(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    np.savez(path, observation=np.zeros((7, 5)))
    assert export("td3", tmp_path, observations=path)["provenance"]["parity"]["recorded_rows"] == 7
    path.write_bytes(b"no archive")
    with pytest.raises(PolicyLoadError, match="cannot be used"):
        export("td3", tmp_path, observations=path)
    with pytest.raises(PolicyLoadError, match="cannot be used"):
        export("td3", tmp_path, observations=tmp_path / "absent.npz")
