"""Which tensors of which policy class make up its actor, and what is done around them.

One row per class: everything an actor needs is named, and a tensor that nobody claims is an error,
so that an architecture this table does not know is refused and not halved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from .network import ACTIVATIONS, Activate, Bound, Choose, Linear, Rescale, Round, Step
from .spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from .unpickle import Name

__all__ = ["ACTIVATION_NAMES", "Tensors", "policy_steps"]

Array = NDArray[Any]

_TORCH_ACTIVATIONS: dict[str, str] = {
    "Tanh": "tanh",
    "ReLU": "relu",
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "GELU": "gelu",
    "SELU": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
}
ACTIVATION_NAMES: dict[str, str] = {
    **{f"torch.nn.modules.activation.{name}": word for name, word in _TORCH_ACTIVATIONS.items()},
    "torch.nn.modules.linear.Identity": "identity",
}
"""Class of an activation -> what `network` calls it."""

_FLATTEN = "stable_baselines3.common.torch_layers.FlattenExtractor"

_KEYWORDS = frozenset(
    "net_arch activation_fn use_sde squash_output clip_mean features_extractor_class "
    "features_extractor_kwargs normalize_images share_features_extractor log_std_init full_std "
    "use_expln ortho_init optimizer_class optimizer_kwargs n_critics".split()
)
"""Keywords of a policy that are understood, or change nothing in its actor."""


class Tensors:
    """A state dict whose entries are taken out one by one, until nothing is left over."""

    def __init__(self, found: Mapping[str, Array], source: str) -> None:
        self.source = source
        self._left = dict(found)

    def has(self, name: str) -> bool:
        """Whether a tensor of that name is left."""
        return name in self._left

    def linear(self, name: str) -> Linear:
        """Take a linear layer: `NAME.weight` (outputs, inputs) and `NAME.bias`."""
        weight, bias = (self._take(f"{name}.{part}") for part in ("weight", "bias"))
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
            raise PolicyLoadError(
                f"{self.source}: layer {name} has the shapes {weight.shape} and {bias.shape}; "
                "expected (outputs, inputs) and (outputs,)"
            )
        return Linear(np.ascontiguousarray(weight.T, np.float32), bias.astype(np.float32))

    def layers(self, name: str) -> list[Linear]:
        """Take the linear layers of a Sequential in which every other module has no tensors."""
        pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,4}})\.weight")
        numbers = sorted(int(m[1]) for m in map(pattern.fullmatch, self._left) if m)
        if numbers != list(range(0, 2 * len(numbers), 2)):
            raise PolicyLoadError(
                f"{self.source}: {name} has tensors at the places {numbers}; expected linear "
                "layers at 0, 2, 4, ... with an activation after each"
            )
        return [self.linear(f"{name}.{number}") for number in numbers]

    def leave(self, *prefixes: str) -> None:
        """Drop what has no part in the action.

        Raises:
            PolicyLoadError: anything else is left.
        """
        rest = [name for name in self._left if not name.startswith(prefixes)]
        if rest:
            shown = ", ".join(ascii(name) for name in rest[:3])
            raise PolicyLoadError(
                f"{self.source}: the tensors {shown[:200]} belong to no network that is known here "
                "(a feature extractor or layers of your own?); export it with torch.onnx.export "
                "where it was trained, or with --trust-pickle here"
            )

    def _take(self, name: str) -> Array:
        if name not in self._left:
            raise PolicyLoadError(f"{self.source}: tensor {name} is missing")
        found = self._left.pop(name)
        if found.dtype.kind != "f" or not np.isfinite(found).all():
            raise PolicyLoadError(f"{self.source}: tensor {name} must be of finite floats")
        return found


def policy_steps(
    policy_class: str,
    tensors: Tensors,
    kwargs: Mapping[str, Any],
    action: Space,
    activation: str,
) -> tuple[Step, ...]:
    """From the observation to the action, as the policy's `predict(deterministic=True)` does it.

    Args:
        policy_class: its dotted name.
        tensors: of the policy.
        kwargs: what the policy was made with; classes as `Name`.
        action: its action space.
        activation: replaces what `kwargs` says; "" takes its word.

    Raises:
        PolicyLoadError: the class, a keyword or a tensor is none that is known here.
    """
    row = _CLASSES.get(policy_class)
    if row is None:
        raise PolicyLoadError(
            f"{tensors.source}: its policy is {policy_class}, and only "
            f"{', '.join(name.rpartition('.')[2] for name in _CLASSES)} are rebuilt from their "
            "tensors (no images, dictionaries or memory). Export it with torch.onnx.export where "
            "it was trained, or with --trust-pickle here"
        )
    actor, default = row
    _check_keywords(tensors.source, kwargs)
    _check_squash(tensors.source, policy_class, kwargs)
    steps = actor(tensors, activation or _activation(tensors.source, kwargs, default), kwargs)
    _check_widths(tensors.source, kwargs.get("net_arch"), steps)
    return (*steps, *_head(tensors.source, policy_class, kwargs, action, steps))


def _check_keywords(source: str, kwargs: Mapping[str, Any]) -> None:
    unknown = [key for key in kwargs if key not in _KEYWORDS]
    if unknown:
        raise PolicyLoadError(
            f"{source}: policy_kwargs has {str(unknown[0])[:80]!r}, which is not known here"
        )
    extractor = kwargs.get("features_extractor_class")
    name = str(extractor) if isinstance(extractor, Name) else "no class"
    if extractor is not None and name != _FLATTEN:
        raise PolicyLoadError(
            f"{source}: its feature extractor is {name}; only the one that flattens is "
            "rebuilt. Export it with torch.onnx.export where it was trained, or with "
            "--trust-pickle here"
        )


def _check_squash(source: str, policy_class: str, kwargs: Mapping[str, Any]) -> None:
    """Stable-Baselines3 itself makes no such policy, so that nobody knows what it answered."""
    squashed = kwargs.get("squash_output") not in (None, False)
    if squashed and policy_class.endswith(".ActorCriticPolicy") and not kwargs.get("use_sde"):
        raise PolicyLoadError(
            f"{source}: policy_kwargs has squash_output, which goes with use_sde only; they belong "
            "to different policies"
        )


def _check_widths(source: str, net_arch: Any, steps: list[Step]) -> None:
    """Hold the hidden layers against what the file says of them, where it does."""
    if net_arch is None:
        return
    said = _hidden_widths(net_arch)
    found = [step.bias.size for step in steps if isinstance(step, Linear)][:-1]
    if said != found:
        raise PolicyLoadError(
            f"{source}: net_arch says {str(net_arch)[:80]}, and its hidden layers have {found} "
            "numbers; they belong to different policies"
        )


def _hidden_widths(net_arch: Any) -> list[Any]:
    """Of an actor: `[64, 64]`, `{"pi": [64]}`, or as before version 1.8 `[64, {"pi": [64]}]`."""
    if isinstance(net_arch, dict):
        own = net_arch.get("pi")
        return list(own) if isinstance(own, (list, tuple)) else []
    if not isinstance(net_arch, (list, tuple)):
        return [net_arch]
    *shared, last = net_arch or [{}]
    return [*shared, *(_hidden_widths(last) if isinstance(last, dict) else [last])]


def _activation(source: str, kwargs: Mapping[str, Any], default: str) -> str:
    given = kwargs.get("activation_fn")
    if given is None:
        return default
    if not isinstance(given, Name) or str(given) not in ACTIVATION_NAMES:
        raise PolicyLoadError(
            f"{source}: its activation is {given if isinstance(given, Name) else 'no class'}; say "
            f"which of these it computes with --activation: {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATION_NAMES[str(given)]


Actor = Callable[[Tensors, str, Mapping[str, Any]], list[Step]]


def _hidden(layers: list[Linear], activation: str) -> list[Step]:
    return [step for layer in layers for step in (layer, Activate(activation))]


def _actor_critic(tensors: Tensors, activation: str, kwargs: Mapping[str, Any]) -> list[Step]:
    """PPO's and A2C's: layers shared with the critic (before version 1.8), its own, the mean."""
    shared = tensors.layers("mlp_extractor.shared_net")
    own = tensors.layers("mlp_extractor.policy_net")
    mean = tensors.linear("action_net")
    tensors.leave("mlp_extractor.value_net.", "value_net.", "log_std")
    squash: list[Step] = [Activate("tanh")] if kwargs.get("squash_output") is True else []
    return [*_hidden([*shared, *own], activation), mean, *squash]


def _sac(tensors: Tensors, activation: str, kwargs: Mapping[str, Any]) -> list[Step]:
    hidden = tensors.layers("actor.latent_pi")
    bound: list[Step] = []
    if tensors.has("actor.mu.0.weight"):  # with state-dependent noise the mean is limited
        mean = tensors.linear("actor.mu.0")
        limit = kwargs.get("clip_mean", 2.0)
        if not isinstance(limit, (int, float)) or limit <= 0:
            raise PolicyLoadError(f"{tensors.source}: clip_mean must be greater than 0")
        limits = np.full(mean.bias.shape, limit, np.float32)
        bound = [Bound(-limits, limits)]
    else:
        mean = tensors.linear("actor.mu")
    tensors.leave("actor.log_std", "critic.", "critic_target.")
    return [*_hidden(hidden, activation), mean, *bound, Activate("tanh")]


def _td3(tensors: Tensors, activation: str, kwargs: Mapping[str, Any]) -> list[Step]:
    *hidden, last = tensors.layers("actor.mu") or [tensors.linear("actor.mu.0")]
    tensors.leave("actor_target.", "critic.", "critic_target.")
    return [*_hidden(hidden, activation), last, Activate("tanh")]


def _dqn(tensors: Tensors, activation: str, kwargs: Mapping[str, Any]) -> list[Step]:
    *hidden, last = tensors.layers("q_net.q_net") or [tensors.linear("q_net.q_net.0")]
    tensors.leave("q_net_target.")
    return [*_hidden(hidden, activation), last]


_CLASSES: dict[str, tuple[Actor, str]] = {
    "stable_baselines3.common.policies.ActorCriticPolicy": (_actor_critic, "tanh"),
    "stable_baselines3.sac.policies.SACPolicy": (_sac, "relu"),
    "stable_baselines3.td3.policies.TD3Policy": (_td3, "relu"),
    "stable_baselines3.dqn.policies.DQNPolicy": (_dqn, "relu"),
}
"""Policy class -> its actor, and the activation where nobody named one."""


def _head(
    source: str,
    policy_class: str,
    kwargs: Mapping[str, Any],
    action: Space,
    steps: list[Step],
) -> list[Step]:
    """What `predict` does with the network's answer: to the bounds, or to a class."""
    width = next(step.bias.size for step in reversed(steps) if isinstance(step, Linear))
    if isinstance(action, Box):
        if action.width != width:
            raise PolicyLoadError(
                f"{source}: the action space has {action.width} numbers, the last layer gives "
                f"{width}"
            )
        low, high = (a.astype(np.float32).ravel() for a in (action.low, action.high))
        if not isinstance(steps[-1], Activate):
            return [Bound(low, high)]
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise PolicyLoadError(f"{source}: its action is scaled to a Box that has no bounds")
        return [Rescale(low, high)]
    if isinstance(action, Discrete):
        sizes: tuple[int, ...] = (action.n,)
    elif isinstance(action, MultiDiscrete):
        sizes = tuple(int(size) for size in action.nvec)
    else:
        sizes = (1,) * action.shape[0]
    if sum(sizes) != width or min(sizes) < 1:
        raise PolicyLoadError(
            f"{source}: the action space has {sum(sizes)} classes, the last layer gives {width}"
        )
    if isinstance(action, MultiBinary):
        return [Round()]
    return [Choose(sizes, scalar=isinstance(action, Discrete))]
