"""Stable-Baselines3's archives, read without it and without torch.

A zip has `data`, a JSON object of the algorithm's attributes, and `policy.pth`, the tensors. What
is no JSON by nature is in there as a pickle in base64; of these only the spaces, the policy's class
and its keywords are looked at, and only by `unpickle`. Everything else in the archive (the
optimizers, `pytorch_variables.pth`, the last observation) is never opened.

The network follows from the tensors: their names say which layer, their shapes how wide.

Source: stable_baselines3/common/{save_util,policies,torch_layers}.py, sac/policies.py,
td3/policies.py.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import strictjson
from ..errors import PolicyLoadError
from .actors import ACTIVATION_NAMES, Tensors, policy_steps
from .archive import Archive
from .network import Choose, Linear, Network, Normalise
from .source import Source, source_of
from .spaces import SPACE_NAMES, Box, Space, space_of
from .tensors import read_state_dict
from .unpickle import Name, read

__all__ = ["is_sb3", "read_sb3"]

MAX_JSON_BYTES = 64 << 20
_UNSCALED = "it was trained without VecNormalize, which its file does not say"
_TENSORS, _ATTRIBUTES = "policy.pth", "data"

# What the pickled parts that are looked at may name; nothing of it is ever imported.
_PACKAGES = ("stable_baselines3.", "torch.nn.modules.", "torch.optim.")


def is_sb3(archive: Archive) -> bool:
    """Whether an archive is one that Stable-Baselines3 saves."""
    return _ATTRIBUTES in archive.names and _TENSORS in archive.names


def read_sb3(
    archive: Archive, source: str, *, normalise: Normalise | None, activation: str, raw: bool
) -> Source:
    """Read a policy and rebuild its network.

    Args:
        archive: the zip file.
        source: how messages call it.
        normalise: what its observations went through before the policy saw them.
        activation: replaces what the file says; "" takes the file's word.
        raw: the observations were not normalised, or their sender does it.

    Raises:
        PolicyLoadError: it is damaged, or holds a policy that cannot be rebuilt from tensors; the
            message says what it was and what can be done.
    """
    attributes = _Attributes(_json(archive, source), source)
    policy_class = attributes.name("policy_class")
    on_policy = policy_class.endswith(".ActorCriticPolicy")
    unscaled = attributes.plain("_last_original_obs") is not None
    if normalise is None and not raw and on_policy and unscaled:
        raise PolicyLoadError(
            f"{source} was trained on observations that VecNormalize scales, and their statistics "
            "are in a file of their own: name it (--vecnormalize FILE; `serve` takes "
            "MODEL.vecnormalize.pkl beside MODEL.zip), or say that the observations come scaled "
            "already (--raw-observations)"
        )
    observation, action = attributes.space("observation_space"), attributes.space("action_space")
    if not isinstance(observation, Box) or observation.is_image:
        raise PolicyLoadError(
            f"{source}: its observation is {_described(observation)}; only policies that see one "
            "row of numbers (a Box that is no image) are rebuilt. Export it with torch.onnx.export "
            "where it was trained, or with --trust-pickle here"
        )
    kwargs = {"use_sde": attributes.plain("use_sde"), **attributes.dict("policy_kwargs")}
    tensors = Tensors(read_state_dict(archive.read(_TENSORS), f"{source}, {_TENSORS}"), source)
    steps = policy_steps(policy_class, tensors, kwargs, action, activation)
    network = _network(steps if normalise is None else (normalise, *steps), source)
    if network.inputs != observation.width or (
        normalise is not None and normalise.mean.size != observation.width
    ):
        means = f", VecNormalize for {normalise.mean.size}" if normalise is not None else ""
        raise PolicyLoadError(
            f"{source}: the observation space has {observation.width} numbers, the first layer "
            f"takes {network.inputs}{means}; they belong to different policies"
        )
    found = source_of(network, observation, action, _facts(attributes, archive, policy_class))
    # Off-policy algorithms keep the observation before scaling in any case: theirs tells nothing.
    said = on_policy or raw or normalise is not None
    return found if said else replace(found, assumed=(_UNSCALED,))


def _network(steps: tuple[Any, ...], source: str) -> Network:
    layers = [step for step in steps if isinstance(step, Linear)]
    for before, after in zip(layers, layers[1:], strict=False):
        if before.weight.shape[1] != after.weight.shape[0]:
            raise PolicyLoadError(
                f"{source}: a layer of {before.weight.shape[1]} numbers is followed by one that "
                f"takes {after.weight.shape[0]}"
            )
    last = steps[-1]
    outputs = len(last.sizes) if isinstance(last, Choose) else layers[-1].weight.shape[1]
    return Network(layers[0].weight.shape[0], outputs, steps)


def _json(archive: Archive, source: str) -> Mapping[str, Any]:
    text = archive.read(_ATTRIBUTES)
    if len(text) > MAX_JSON_BYTES:
        raise PolicyLoadError(f"{source}: its data is larger than {MAX_JSON_BYTES} bytes")
    try:
        found = strictjson.loads(text.decode())
    except ValueError as exc:
        raise PolicyLoadError(f"{source}: its data is no JSON that is read: {exc}") from exc
    if not isinstance(found, dict):
        raise PolicyLoadError(f"{source}: its data must be an object")
    return found


class _Attributes:
    """The algorithm's attributes; what is pickled among them is read when it is asked for."""

    def __init__(self, found: Mapping[str, Any], source: str) -> None:
        self._found = found
        self._source = source

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def plain(self, name: str) -> Any:
        """An attribute as the JSON has it, or None."""
        return self._found.get(name)

    def symbolic(self, name: str) -> Any:
        """An attribute; where it is pickled, what `unpickle` makes of it."""
        value = self._found.get(name)
        if not isinstance(value, dict) or ":serialized:" not in value:
            return value
        what = f"{self._source}, {name}"
        try:
            data = base64.b64decode(value[":serialized:"], validate=True)
        except (TypeError, ValueError, binascii.Error) as exc:
            raise PolicyLoadError(f"{what}: expected base64: {exc}") from exc
        return read(data, what, _expected)

    def space(self, name: str) -> Space:
        """A space."""
        try:
            return space_of(self.symbolic(name))
        except ValueError as exc:
            raise PolicyLoadError(f"{self._source}, {name}: {exc}") from exc

    def name(self, name: str) -> str:
        """The dotted name of a class."""
        value = self.symbolic(name)
        if not isinstance(value, Name):
            raise PolicyLoadError(f"{self._source}: {name} must be a class")
        return str(value)

    def dict(self, name: str) -> Mapping[str, Any]:
        """An object's keys; {} where it is missing."""
        value = self.symbolic(name)
        if value is not None and not isinstance(value, dict):
            raise PolicyLoadError(f"{self._source}: {name} must be an object")
        return value or {}


def _expected(name: str) -> bool:
    return name in SPACE_NAMES or name in ACTIVATION_NAMES or name.startswith(_PACKAGES)


def _described(space: Space) -> str:
    if isinstance(space, Box):
        return f"an image of shape {space.low.shape}"
    return f"a {type(space).__name__} space"


def _facts(attributes: _Attributes, archive: Archive, policy_class: str) -> dict[str, Any]:
    version, steps = "_stable_baselines3_version", attributes.plain("num_timesteps")
    return {
        "format": "stable-baselines3",
        "version": archive.read(version).decode("ascii", "replace")[:32].strip()
        if version in archive.names
        else "",
        "algorithm": _algorithm(attributes, policy_class),
        "policy_class": policy_class,
        "num_timesteps": steps if isinstance(steps, int) else None,
    }


def _algorithm(attributes: _Attributes, policy_class: str) -> str:
    """An archive does not name its algorithm; its attributes give it away."""
    if ".sac." in policy_class:
        return "SAC"
    if ".td3." in policy_class:
        plain = attributes.plain("policy_delay") == 1 and not attributes.plain("target_noise_clip")
        return "DDPG" if plain else "TD3"
    if ".dqn." in policy_class:
        return "DQN"
    return "PPO" if "clip_range" in attributes else "A2C"
