"""Archives of Stable-Baselines3, held against the answers that Stable-Baselines3 itself gave."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import ContractError, Error, PolicyLoadError
from isthmus.export import Naming, Options, export_policy
from isthmus.policy import allocate_action, load

from .conftest import FIXTURES, HELD, export

POLICIES = {
    "ppo_tanh": "PPO",
    "ppo_relu": "PPO",
    "ppo_gsde": "PPO",
    "ppo_discrete": "PPO",
    "a2c": "A2C",
    "sac": "SAC",
    "td3": "TD3",
    "ddpg": "DDPG",
    "dqn": "DQN",
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_export_answers_what_the_original_answered(name: str, tmp_path: Path) -> None:
    manifest = export(name, tmp_path)
    facts = manifest["provenance"]
    assert facts["algorithm"] == POLICIES[name]
    assert facts["version"].startswith("2.")
    assert facts["parity"]["recorded_rows"] == 32
    assert facts["parity"]["recorded_answers_max_difference"] <= 5e-6
    assert facts["parity"]["random_max_difference"] <= 1e-5


@pytest.mark.parametrize("name", ["ppo_relu", "sac", "ppo_discrete"])
def test_the_served_files_give_the_recorded_actions(name: str, tmp_path: Path) -> None:
    """Without this package's own comparison in between."""
    export(name, tmp_path, observations=None)
    policy = load(tmp_path / f"{name}.onnx")
    with np.load(FIXTURES / f"{name}.npz") as recorded:
        rows, wanted = recorded["observations"], recorded["actions"]
    action = allocate_action(policy.contract, len(rows))
    policy.infer({"observation": rows}, action, {}, {})
    policy.close()
    got = action["action"].reshape(wanted.shape)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=5e-6)


def test_recorded_actions_reach_both_bounds_and_the_inside() -> None:
    """Else clip and rescaling would be shown nothing."""
    with np.load(FIXTURES / "ppo_relu.npz") as recorded:
        actions = recorded["actions"]
    assert (actions == [1.0, 3.0]).any() and (actions == [-1.0, -2.0]).any()
    assert ((actions > [-1.0, -2.0]) & (actions < [1.0, 3.0])).any()


def test_the_first_system_s_shape_becomes_joints_and_an_increment(tmp_path: Path) -> None:
    manifest = export("ppo_tanh", tmp_path)
    contract = manifest["contract"]
    assert [(f["name"], f["shape"], f["unit"]) for f in contract["observation"]] == [
        ("q", [3], "rad"),
        ("dq", [3], "rad/s"),
    ]
    (delta,) = contract["action"]
    assert (delta["name"], delta["semantics"], delta["fallback"]) == ("delta", "delta", "zero")
    assert delta["measured_position"] == "q"
    assert contract["limits"] == {"delta": {"max_rate": [25.0, 25.0, 25.0]}}
    assert len(manifest["provenance"]["assumed"]) == 2


def test_an_action_that_nobody_explains_needs_a_fallback(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="--fallback"):
        export("sac", tmp_path, naming=Naming())
    assert list(tmp_path.iterdir()) == []


def test_statistics_that_belong_to_the_policy_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="VecNormalize scales.*--vecnormalize"):
        export("ppo_relu", tmp_path, vecnormalize=None)
    raw = export("ppo_relu", tmp_path, vecnormalize=None, raw=True, observations=None)
    assert raw["provenance"]["normalised"] is False


def test_statistics_of_another_width_are_refused(tmp_path: Path) -> None:
    statistics = FIXTURES / "ppo_relu.vecnormalize.pkl"
    with pytest.raises(PolicyLoadError, match="6 numbers.*VecNormalize for 5"):
        export("ppo_tanh", tmp_path, vecnormalize=statistics)


def test_wrong_recorded_answers_are_refused(tmp_path: Path) -> None:
    with np.load(FIXTURES / "sac.npz") as recorded:
        wrong = {"observations": recorded["observations"], "actions": recorded["actions"] + 0.01}
    np.savez(tmp_path / "wrong.npz", **wrong)
    with pytest.raises(PolicyLoadError, match="differs from the original by.*deterministic"):
        export("sac", tmp_path, observations=tmp_path / "wrong.npz")
    assert not (tmp_path / "sac.onnx").exists()


def test_another_activation_than_the_policy_s_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="differs from the original"):
        export("sac", tmp_path, activation="tanh")


def _changed(
    path: Path, into: Path, change: Callable[[dict[str, Any]], object], drop: str = ""
) -> Path:
    """A copy of an archive with another `data`."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "data":
                attributes = json.loads(data)
                change(attributes)
                data = json.dumps(attributes).encode()
            if name != drop:
                new.writestr(name, data)
    return into


class _Named:
    """Pickles as a class of somebody's own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (json.loads, ("{}",))


def _pickled(value: object) -> dict[str, str]:
    return {":serialized:": base64.b64encode(pickle.dumps(value)).decode()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(policy_class=_pickled("text")), "policy_class must be a class"),
        (lambda d: d.update(policy_class={":serialized:": "%"}), "base64"),
        (lambda d: d.update(policy_class={":serialized:": 7}), "base64"),
        (lambda d: d.update(observation_space=_pickled(_Named())), "names 'json.loads'"),
        (lambda d: d.update(observation_space=7), "expected a space"),
        (lambda d: d.update(action_space=d["observation_space"]), "has 5 numbers, the last layer"),
        (lambda d: d.update(observation_space=d["action_space"]), "2 numbers, the first layer"),
        (lambda d: d.update(policy_kwargs=7), "must be an object"),
        (lambda d: d.update(policy_kwargs={"my_option": 1}), "'my_option'"),
        (lambda d: d.update(policy_kwargs=_pickled({"activation_fn": 1})), "--activation"),
        (lambda d: d.update(policy_kwargs={"features_extractor_class": "X"}), "feature extractor"),
    ],
)
def test_what_is_not_understood_is_refused(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    path = _changed(FIXTURES / "td3.zip", tmp_path / "x.zip", change)
    with pytest.raises(PolicyLoadError, match=message):
        export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))


@pytest.mark.parametrize("net_arch", [[3, 3], [64], {"pi": [400]}, [400, {"pi": []}], 400, "400"])
def test_layers_that_the_file_does_not_speak_of_are_refused(net_arch: Any, tmp_path: Path) -> None:
    change = {"policy_kwargs": {"net_arch": net_arch}}
    path = _changed(FIXTURES / "td3.zip", tmp_path / "x.zip", lambda d: d.update(change))
    with pytest.raises(PolicyLoadError, match="net_arch says.*different policies"):
        export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))


def test_a_squashed_answer_needs_the_noise_it_comes_with(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data.update(policy_kwargs={"squash_output": True}, use_sde=False)

    path = _changed(FIXTURES / "ppo_tanh.zip", tmp_path / "x.zip", change)
    with pytest.raises(PolicyLoadError, match="squash_output.*different policies"):
        export_policy(path, tmp_path / "x.onnx")


def test_a_policy_class_of_images_is_refused_by_name(tmp_path: Path) -> None:
    class_ = b"cstable_baselines3.td3.policies\nCnnPolicy\n."
    change = {"policy_class": {":serialized:": base64.b64encode(class_).decode()}}
    path = _changed(FIXTURES / "td3.zip", tmp_path / "x.zip", lambda d: d.update(change))
    with pytest.raises(PolicyLoadError, match="td3.policies.CnnPolicy.*--trust-pickle"):
        export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))


def test_a_tensor_that_nobody_claims_is_refused(tmp_path: Path) -> None:
    """The weights of one algorithm under the name of another."""
    with zipfile.ZipFile(FIXTURES / "sac.zip") as other:
        weights = other.read("policy.pth")
    path = _changed(FIXTURES / "td3.zip", tmp_path / "x.zip", lambda d: None, drop="policy.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("policy.pth", weights)
    with pytest.raises(PolicyLoadError, match="actor.mu.0.weight is missing|belong to no network"):
        export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))


@pytest.mark.parametrize("name", ["ppo_relu.zip", "script.pt", "state_dict.pth"])
def test_a_file_cut_anywhere_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    data = (FIXTURES / name).read_bytes()
    path = tmp_path / name
    for end in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:end])
        with pytest.raises(Error):
            export_policy(path, tmp_path / "x.onnx", Options(naming=HELD, raw=True))


def test_bytes_flipped_anywhere_give_a_checked_export_or_an_error_of_ours(tmp_path: Path) -> None:
    data = (FIXTURES / "dqn.zip").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.zip"
    for place in rng.integers(0, len(data), 60):
        bad = bytearray(data)
        bad[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bad)
        try:
            export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))
        except Error:
            continue
        assert load(tmp_path / "x.onnx").contract.action
