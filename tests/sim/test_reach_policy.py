"""The committed policy: it belongs to this arm, both its forms agree, and it reaches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from isthmus.policy import Policy, load
from isthmus.sim.mujoco import MAX_ACCELERATION, TOLERANCE, contract, evaluate, max_delta

POLICIES = Path(__file__).resolve().parents[2] / "policies"
Observation = dict[str, np.ndarray]


@pytest.fixture(params=["reach.onnx", "reach.npz"])
def policy(request: pytest.FixtureRequest) -> Iterator[Policy]:
    if request.param.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    loaded = load(POLICIES / request.param, contract=contract())
    yield loaded
    loaded.close()


def acting(policy: Policy) -> Callable[[Observation], np.ndarray]:
    action = {"delta": np.zeros((1, 6), np.float32)}

    def act(observation: Observation) -> np.ndarray:
        policy.infer({name: value[None] for name, value in observation.items()}, action, {}, {})
        return action["delta"][0].copy()

    return act


def test_the_policy_was_made_for_this_arm(policy: Policy) -> None:
    assert policy.contract.interface_hash == contract().interface_hash
    assert policy.contract.limits_hash == contract().limits_hash


def test_the_manifest_says_where_the_policy_comes_from() -> None:
    manifest = json.loads((POLICIES / "reach.manifest.json").read_text())
    for entry in (manifest, manifest["numpy"]):
        digest = hashlib.sha256((POLICIES / entry["model"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"]
    made = manifest["provenance"]
    assert made["script"] == "training/train_reach.py"
    assert made["export_max_abs_difference"] < 1e-5
    assert made["evaluation"]["randomize"] and made["evaluation"]["episodes"] == 200
    assert made["evaluation"]["success_rate"] >= 0.9


def test_both_forms_give_the_same_action() -> None:
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    observation = {
        field.name: rng.normal(0, 0.5, (64, *field.shape)).astype(field.dtype)
        for field in contract().observation
    }
    answers = []
    for name in ("reach.onnx", "reach.npz"):
        action = {"delta": np.zeros((64, 6), np.float32)}
        load(POLICIES / name).infer(observation, action, {}, {})
        answers.append(action["delta"])
    assert answers[0] == pytest.approx(answers[1], abs=1e-6)
    assert (np.abs(answers[0]) <= max_delta()).all(), "not even by a rounding"
    assert not answers[0][:, 5].any(), "a reaching policy leaves the hand alone"


def test_the_policy_reaches(policy: Policy) -> None:
    result = evaluate(acting(policy), episodes=50)
    assert result.success_rate >= 0.9
    assert np.median(result.distances) < TOLERANCE / 2


def test_the_policy_stays_within_the_acceleration_limit(policy: Policy) -> None:
    act, last, worst = acting(policy), np.zeros(6), 0.0

    def watched(observation: Observation) -> np.ndarray:
        nonlocal last, worst
        delta = act(observation)
        worst = max(worst, float(np.abs(delta - last).max()))
        last = delta
        return delta

    def restart(*_: object) -> None:
        nonlocal last
        last = np.zeros(6)

    evaluate(watched, episodes=20, on_reset=restart)
    assert worst / contract().control_dt ** 2 < MAX_ACCELERATION * 1.001
