"""The same where torch is: Stable-Baselines3 and torch answer here and now.

.envs/train/bin/python -m pytest -m torch tests/export
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export import Naming, Options, export_policy
from isthmus.export.archive import Archive
from isthmus.export.sb3 import read_sb3
from isthmus.export.tensors import read_state_dict
from isthmus.policy import allocate_action, load

from .canaries import archive, members_of, touching
from .conftest import FIXTURES, HELD, export

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def answers(model: Path, rows: Any) -> Any:
    policy = load(model)
    fields = policy.contract.observation
    ends = np.cumsum([field.width for field in fields])[:-1]
    parts = np.split(rows.reshape(len(rows), -1), ends, axis=1)
    given = {
        field.name: np.ascontiguousarray(part.reshape(-1, *field.shape), field.numpy_dtype)
        for field, part in zip(fields, parts, strict=True)
    }
    action = allocate_action(policy.contract, len(rows))
    policy.infer(given, action, {}, {})
    policy.close()
    (answer,) = action.values()
    return answer


def spaces(**which: Any) -> Any:
    """An environment of these spaces that does nothing."""
    import gymnasium as gym

    class Nothing(gym.Env):  # type: ignore[misc, type-arg]
        observation_space = which["observation"]
        action_space = which["action"]

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return self.observation_space.sample(), {}

        def step(self, action: Any) -> Any:
            return self.observation_space.sample(), 0.0, False, False, {}

    return Nothing


def box(*shape: int, high: float = 10.0) -> Any:
    from gymnasium.spaces import Box

    return Box(-high, high, shape, np.float32)


CASES: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "PPO, defaults": ("PPO", (6,), (3,), {}),
    "PPO, no hidden layer": ("PPO", (6,), (3,), {"net_arch": []}),
    "PPO, two dimensions": ("PPO", (2, 3), (2, 2), {}),
    "PPO, own extractors": ("PPO", (6,), (3,), {"share_features_extractor": False}),
    "A2C, wide": ("A2C", (40,), (12,), {"net_arch": [512, 256]}),
    "SAC, defaults": ("SAC", (17,), (6,), {}),
    "SAC, state-dependent noise": ("SAC", (6,), (3,), {"use_sde": True}),
    "SAC, no hidden layer": ("SAC", (6,), (3,), {"net_arch": []}),
    "TD3, defaults": ("TD3", (17,), (6,), {}),
    "DDPG, defaults": ("DDPG", (6,), (3,), {}),
    "PPO, classes": ("PPO", (6,), 5, {}),
    "PPO, several classes": ("PPO", (6,), [3, 2, 4], {}),
    "PPO, yes or no": ("PPO", (6,), "4", {}),
    "DQN, defaults": ("DQN", (6,), 5, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_fresh_policies_of_every_kind(case: str, tmp_path: Path) -> None:
    import stable_baselines3
    import torch
    from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete

    algorithm, shape, acts, kwargs = CASES[case]
    if isinstance(acts, tuple):
        action: Any = box(*acts, high=2.0)
    elif isinstance(acts, int):
        action = Discrete(acts)
    else:
        action = MultiBinary(int(acts)) if isinstance(acts, str) else MultiDiscrete(acts)
    env = spaces(observation=box(*shape), action=action)()
    settings = {} if algorithm in ("PPO", "A2C") else {"buffer_size": 10}
    if "use_sde" in kwargs:
        settings["use_sde"] = True
        kwargs = {}
    model = getattr(stable_baselines3, algorithm)(
        "MlpPolicy", env, policy_kwargs=kwargs, device="cpu", seed=3, **settings
    )
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save(tmp_path / "m.zip")
    options = Options(naming=Naming(semantics="opaque", fallback="hold"))
    manifest = export_policy(tmp_path / "m.zip", tmp_path / "m.onnx", options).manifest
    assert manifest["provenance"]["algorithm"] == algorithm
    rows = np.random.default_rng(2).normal(0, 3, (200, *shape)).astype(np.float32)
    wanted, _ = model.predict(rows, deterministic=True)
    got = answers(tmp_path / "m.onnx", rows).reshape(wanted.shape)
    if np.issubdtype(wanted.dtype, np.floating):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)
    else:
        assert (got == wanted).mean() >= 0.99  # ties in the last bit may fall either way


@pytest.mark.parametrize("name", ["Tanh", "ReLU", "ELU", "LeakyReLU", "Sigmoid", "SiLU", "GELU",
                                  "SELU", "Softplus", "Softsign", "Identity"])  # fmt: skip
def test_every_activation_is_read_by_its_name(name: str, tmp_path: Path) -> None:
    import stable_baselines3
    import torch

    env = spaces(observation=box(6), action=box(3))()
    kwargs = {"activation_fn": getattr(torch.nn, name), "net_arch": [8]}
    model = stable_baselines3.PPO("MlpPolicy", env, policy_kwargs=kwargs, device="cpu")
    model.save(tmp_path / "m.zip")
    source = Archive((tmp_path / "m.zip").read_bytes(), "m")
    read_sb3(source, "m", normalise=None, activation="", raw=False)
    export_policy(tmp_path / "m.zip", tmp_path / "m.onnx")
    rows = np.random.default_rng(2).normal(0, 3, (50, 6)).astype(np.float32)
    wanted, _ = model.predict(rows, deterministic=True)
    np.testing.assert_allclose(answers(tmp_path / "m.onnx", rows), wanted, atol=1e-5)


def test_tensors_are_what_torch_saves(tmp_path: Path) -> None:
    import torch

    base = torch.arange(24.0).reshape(2, 3, 4)
    saved = {
        "plain": base,
        "transposed": base.transpose(0, 2),
        "part": base[1, 1:, ::2],
        "expanded": torch.ones(1, 3).expand(4, 3),
        "number": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "double": base.double(),
        "half": base.half(),
        "brain": base.bfloat16(),
        "whole": base.long(),
        "truth": base > 3,
        "parameter": torch.nn.Parameter(base.clone()),
    }
    torch.save(saved, tmp_path / "t.pth")
    found = read_state_dict((tmp_path / "t.pth").read_bytes(), "t")
    assert list(found) == list(saved)
    for name, tensor in saved.items():
        wanted = tensor.detach().float().numpy()
        assert found[name].shape == wanted.shape, name
        np.testing.assert_array_equal(found[name].astype(np.float32), wanted, err_msg=name)


def test_torchscript_answers_what_its_maker_recorded(tmp_path: Path) -> None:
    parity = export("script", tmp_path)["provenance"]["parity"]
    assert parity["recorded_answers_max_difference"] <= 2e-6
    assert parity["random_max_difference"] <= 1e-5


def scripted(module: Any, path: Path) -> Path:
    import torch

    torch.jit.script(module.eval()).save(str(path))
    return path


def test_what_torchscript_may_not_do_never_runs(tmp_path: Path) -> None:
    import torch

    class Saving(torch.nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            torch.save(obs, "canary")  # becomes aten::save
            return obs[:, :3]

    class Reading(torch.nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            return obs[:, :3] + torch.from_file("/etc/hostname", False, 1).sum()

    class Random(torch.nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            return obs[:, :3] + torch.randn(3)

    class Remembering(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = torch.zeros(1, 3)

        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            self.last = self.last + obs[:, :3]
            return self.last

    for module, message in (
        (Saving, "save"), (Reading, "from_file"), (Random, "randn"), (Remembering, "SetAttr"),
    ):  # fmt: skip
        path = scripted(module(), tmp_path / "x.pt")
        with pytest.raises(PolicyLoadError, match=message):
            export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))
        assert not Path("canary").exists()


def test_an_operator_that_is_written_as_a_method_is_found_in_the_graph(tmp_path: Path) -> None:
    """As text it is a call of something's method; compiled, it is what it is."""
    members = members_of(FIXTURES / "script.pt")
    name = next(name for name in members if name.endswith("code/__torch__.py"))
    text = members[name].decode()
    assert "torch.abs(obs)" in text
    members[name] = text.replace("torch.abs(obs)", "torch.abs((obs).bernoulli(0.5))").encode()
    path = tmp_path / "x.pt"
    path.write_bytes(archive(members))
    with pytest.raises(PolicyLoadError, match="aten::bernoulli"):
        export_policy(path, tmp_path / "x.onnx", Options(naming=HELD))


def test_a_module_that_takes_other_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="does not take rows of 4 numbers"):
        export("script", tmp_path, naming=Naming(observation=("o:4",), fallback="hold"))


def test_trusting_a_pickle_runs_it_and_nothing_else_does(tmp_path: Path) -> None:
    """What the option's help says, shown; and that its absence is what stops it."""
    canary = tmp_path / "canary"
    path = tmp_path / "evil.pt"
    path.write_bytes(touching(canary)["reduce, protocol 2"])
    for trusted in (False, True):
        assert not canary.exists()
        with pytest.raises(PolicyLoadError):
            export_policy(path, tmp_path / "x.onnx", Options(naming=HELD, trust_pickle=trusted))
    assert canary.exists()


@pytest.mark.parametrize("name", ["ppo_relu", "sac", "dqn"])
def test_a_trusted_file_is_held_against_the_original(name: str, tmp_path: Path) -> None:
    facts = export(name, tmp_path, trust_pickle=True)["provenance"]
    assert facts["compared_with_original"] is True
    assert facts["parity"]["random_max_difference"] <= 1e-5


def test_a_policy_of_images_is_exported_where_it_is_trusted(tmp_path: Path) -> None:
    import stable_baselines3
    from gymnasium.spaces import Box

    env = spaces(observation=Box(0, 255, (3, 36, 36), np.uint8), action=box(2, high=1.0))()
    model = stable_baselines3.PPO("CnnPolicy", env, device="cpu")
    path = tmp_path / "m.zip"
    model.save(path)
    options = Options(naming=HELD)
    with pytest.raises(PolicyLoadError, match="an image of shape.*--trust-pickle"):
        export_policy(path, tmp_path / "m.onnx", options)
    export_policy(path, tmp_path / "m.onnx", Options(naming=HELD, trust_pickle=True))
    rows = np.random.default_rng(2).integers(0, 256, (5, 3, 36, 36), np.uint8)
    wanted, _ = model.predict(rows, deterministic=True)
    np.testing.assert_allclose(answers(tmp_path / "m.onnx", rows), wanted, atol=1e-5)


def test_a_module_pickled_whole_is_exported_where_it_is_trusted(tmp_path: Path) -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    torch.save(module, tmp_path / "m.pt")
    with pytest.raises(PolicyLoadError, match="names 'torch.nn.modules.container.Sequential'"):
        export_policy(tmp_path / "m.pt", tmp_path / "m.onnx")
    export_policy(tmp_path / "m.pt", tmp_path / "m.onnx", Options(trust_pickle=True))
    rows = np.random.default_rng(2).normal(size=(9, 6)).astype(np.float32)
    wanted = module(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(answers(tmp_path / "m.onnx", rows), wanted, atol=1e-6)
