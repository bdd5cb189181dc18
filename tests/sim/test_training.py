"""The training script trains, exports and agrees with itself. Needs the `train` extra."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.policy import load
from isthmus.sim.mujoco import contract, max_delta

pytest.importorskip("stable_baselines3", reason="needs the `train` extra")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TRAINING))
    import train_reach

    monkeypatch.setitem(train_reach.SETTINGS, "num_envs", 4)
    return train_reach


def test_a_short_training_gives_a_policy_that_loads(training: Any, tmp_path: Path) -> None:
    import export

    model, _ = training.train(seed=0, steps=512)
    path = tmp_path / "short.onnx"
    assert export.export(model, path, {"seed": 0}) < 1e-5
    manifest = json.loads(path.with_suffix(".manifest.json").read_text())
    assert manifest["provenance"]["seed"] == 0
    observation = {f.name: np.full((3, *f.shape), 0.1, f.dtype) for f in contract().observation}
    rows = np.concatenate([observation[name] for name in ("q", "dq", "goal", "tip_error")], 1)
    wanted, _ = model.predict(rows / export.observation_scale(), deterministic=True)
    for name in ("short.onnx", "short.npz"):
        action = {"delta": np.zeros((3, 6), np.float32)}
        load(tmp_path / name, contract=contract()).infer(observation, action, {}, {})
        assert action["delta"][:, :5] == pytest.approx(wanted * max_delta()[:5], abs=1e-5)
        assert not action["delta"][:, 5].any()


def test_a_seed_gives_the_same_policy_again(training: Any) -> None:
    import export

    first, second = (export.layers_of(training.train(seed=3, steps=256)[0]) for _ in range(2))
    for (w, b), (w2, b2) in zip(first, second, strict=True):
        assert np.array_equal(w, w2) and np.array_equal(b, b2)


def test_an_export_that_differs_is_refused(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import export

    model, _ = training.train(seed=0, steps=256)
    monkeypatch.setattr(export, "PARITY", 0.0)
    with pytest.raises(RuntimeError, match="export differs by"):
        export.export(model, tmp_path / "short.onnx", {})
    assert not (tmp_path / "short.manifest.json").exists()


def test_the_flat_environment_passes_on_what_the_arms_say(training: Any) -> None:
    from reach_vec_env import FIELD_SCALES, ReachVecEnv

    envs = ReachVecEnv(2, seed=4)
    first = envs.reset()
    assert first.shape == (2, 18) and first.dtype == np.float32
    q = envs._envs.reaches[1].arm.q
    assert first[1, :6] * FIELD_SCALES["q"] == pytest.approx(q, abs=1e-6)
    for step in range(60):
        observation, _, ended, infos = envs.step(np.zeros((2, 5), np.float32))
        assert ended.all() == (step == 59)
    assert len(envs.successes) == 2
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"] != pytest.approx(observation[0])
