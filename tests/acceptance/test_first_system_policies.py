"""Policies by their extension, given at the start or loaded while serving."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..support.bare import answers, bare_model
from .first_clients import observe
from .first_files import dummy
from .processes import PATIENT, ROOT, Gateway, Starter

REACH = {"goal": [0.3, 0.0, 0.2], "tip_error": [0.0, 0.0, 0.0]}
TRAINED = ROOT / "tests" / "export" / "fixtures"
"""Policies as their trainers saved them, and what those trainers answered."""


@pytest.fixture
def models(starter: Starter) -> Path:
    """A working tree with a policy of every kind."""
    folder = starter.folder()
    dummy(folder, 3, "zeros.json")
    for path in (
        ROOT / "policies" / "reach.onnx",
        ROOT / "policies" / "reach.manifest.json",
        TRAINED / "ppo_tanh.zip",
        TRAINED / "state_dict.pth",
    ):
        shutil.copy(path, folder)
    return folder


def joints(q: list[float], dq: list[float]) -> dict[str, Any]:
    return {"type": "obs", "data": {"q": q, "dq": dq}}


def test_an_onnx_policy(starter: Starter, models: Path) -> None:
    gateway = starter.script("--policy", "reach.onnx", *PATIENT, folder=models)
    data = gateway.ask(observe(*[0.0] * 6, **REACH))["data"]
    assert (data["policy_kind"], data["action_dim"], len(data["delta"])) == ("onnx", 6, 6)


def test_a_zip_of_stable_baselines3_answers_as_its_trainer_did(
    starter: Starter, models: Path
) -> None:
    gateway = starter.script("--policy", "ppo_tanh.zip", *PATIENT, folder=models)
    with np.load(TRAINED / "ppo_tanh.npz") as answered:
        rows = zip(answered["observations"][:5], answered["actions"][:5], strict=True)
        for observation, action in rows:
            q, dq = observation[:3].tolist(), observation[3:].tolist()
            data = gateway.ask(joints(q, dq))["data"]
            assert data["deadline_miss"] is False
            assert data["delta"] == pytest.approx(action.tolist(), abs=1e-5)


def test_a_zip_is_loaded_while_serving(starter: Starter, models: Path) -> None:
    gateway = starter.script("--policy", "zeros.json", *PATIENT, folder=models)
    answer = gateway.ask({"type": "load_policy", "path": "ppo_tanh.zip"})
    assert answer["type"] == "load_policy_ack", answer
    data = gateway.ask(joints([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]))["data"]
    assert data["policy_kind"] == answer["policy_kind"]
    assert any(data["delta"])


def test_an_onnx_policy_as_its_trainer_saved_it(starter: Starter, models: Path) -> None:
    bare_model(models / "saved.onnx")
    gateway = starter.script("--policy", "saved.onnx", *PATIENT, folder=models)
    rows = np.random.default_rng(0).normal(size=(5, 6))
    for row, wanted in zip(rows.tolist(), answers(rows).tolist(), strict=True):
        data = gateway.ask(joints(row[:3], row[3:]))["data"]
        assert (data["policy_kind"], data["action_dim"]) == ("onnx", 3)
        assert data["deadline_miss"] is False
        assert data["delta"] == pytest.approx(wanted, abs=1e-5)


def test_such_a_policy_is_loaded_while_serving(starter: Starter, models: Path) -> None:
    bare_model(models / "saved.onnx")
    bare_model(models / "one.onnx", batch=1)
    bare_model(models / "broken.onnx")
    (models / "broken.manifest.json").write_text("{")
    gateway = starter.script("--policy", "zeros.json", *PATIENT, folder=models)
    for name, reason in (("one.onnx", "dynamic first axis"), ("broken.onnx", "manifest")):
        answer = gateway.ask({"type": "load_policy", "path": name})
        assert (answer["error"], reason in answer["detail"]) == ("load_failed", True), answer
    answer = gateway.ask({"type": "load_policy", "path": "saved.onnx"})
    assert (answer["type"], answer["policy_kind"]) == ("load_policy_ack", "onnx")
    data = gateway.ask(joints([0.1, 0.2, 0.3], [0.4, 0.0, 0.0]))["data"]
    wanted = answers([[0.1, 0.2, 0.3, 0.4, 0.0, 0.0]])[0].tolist()
    assert data["delta"] == pytest.approx(wanted, abs=1e-5)


def test_no_network_is_invented_for_parameters_without_one(empty: Gateway) -> None:
    """`.pth` often holds tensors and no network; guessing one was a fault of the first system."""
    shutil.copy(TRAINED / "state_dict.pth", empty.folder)
    answer = empty.ask({"type": "load_policy", "path": "state_dict.pth"})
    assert (answer["error"], "TorchScript" in answer["detail"]) == ("load_failed", True)
