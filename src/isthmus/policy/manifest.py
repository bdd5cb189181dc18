"""The manifest beside a model: which fields feed which tensors, and what the outputs mean.

It is read and checked (`manifest_reader`) before the model is touched. It pins the model by
SHA-256 and embeds the contract, whose interface hash it repeats, so that an edit of either is
noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract import Contract
from .reading import Numbers

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "MANIFEST_VERSION",
    "InputMap",
    "Manifest",
    "MlpFile",
    "Normalisation",
    "OutputMap",
    "StateMap",
    "manifest_path",
]

MANIFEST_VERSION = 1
KINDS: tuple[str, ...] = ("onnx", "numpy")
ACTIVATIONS: tuple[str, ...] = ("tanh", "relu", "elu", "sigmoid", "none")


@dataclass(frozen=True)
class InputMap:
    """An input tensor and the fields it is made of, flattened and joined in this order."""

    tensor: str
    concat: tuple[str, ...]


@dataclass(frozen=True)
class OutputMap:
    """An output tensor, what is done to it in this order, and the action field it becomes.

    Attributes:
        tensor: of the model.
        field: of the contract's action.
        clip: lowest and highest value, applied first; None = not clipped.
        scale: factor, applied second.
        offset: summand, applied last. All three: one number, or one per entry of the field's
            last axis.
    """

    tensor: str
    field: str
    clip: tuple[Numbers, Numbers] | None = None
    scale: Numbers = 1.0
    offset: Numbers = 0.0


@dataclass(frozen=True)
class Normalisation:
    """(x - mean) / std, then limited to +-clip.

    Attributes:
        mean: one number, or one per entry of the tensor's row.
        std: as `mean`, > 0; any epsilon is already in it.
        clip: > 0; None = not limited.
    """

    mean: Numbers
    std: Numbers
    clip: float | None = None


@dataclass(frozen=True)
class StateMap:
    """Recurrent state: what `output` gave is put into `input` at the next step.

    Attributes:
        input: tensor (batch, *shape) of the model; also the state's name.
        output: tensor of the same shape and dtype.
        shape: of one row. It starts at zero.
        dtype: one of the contract's dtypes.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class MlpFile:
    """A plain network in an npz file: name beside the manifest, hash, activation."""

    model: str
    sha256: str
    activation: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that agrees with itself.

    Attributes:
        kind: `onnx` or `numpy`.
        model: file name of the model, in the manifest's folder.
        sha256: of the model, 64 hex digits.
        contract: what the model was made for.
        inputs: one entry per input tensor that observations feed.
        outputs: one entry per action field.
        normalisation: per input tensor; empty where the graph does it or nobody does.
        last_action: the name under which `concat` reads the model's own previous output (after
            clip, before scale), or "".
        state: recurrent tensors.
        mlp: the model itself for `numpy`; its twin for hosts without ONNX Runtime for `onnx`.
        provenance: how it was made; free form.
        digest: SHA-256 of the manifest file, which pins the model too.
    """

    kind: str
    model: str
    sha256: str
    contract: Contract
    inputs: tuple[InputMap, ...]
    outputs: tuple[OutputMap, ...]
    normalisation: Mapping[str, Normalisation]
    last_action: str
    state: tuple[StateMap, ...]
    mlp: MlpFile | None
    provenance: Mapping[str, Any]
    digest: str


def manifest_path(model: Path) -> Path:
    """Where the manifest of `model` lies: `reach.onnx` -> `reach.manifest.json`."""
    return model.parent / f"{model.stem}.manifest.json"
