"""Small networks in numpy alone: what serves where ONNX Runtime is not.

A network is an npz file of `w0, b0, w1, b1, ...`: x @ w + b, an activation between layers, none
after the last. The archive is read without numpy's own loader deciding how much memory to take:
every size is known from headers, and bounded, before anything is unpacked; pickles never are.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..errors import PolicyLoadError
from .base import Array, ArrayMap, Policy
from .files import read_model
from .manifest import Manifest, MlpFile
from .manifest_reader import read_manifest
from .mapping import Rows, Run
from .model import ModelPolicy
from .wiring import Tensor, wire

__all__ = ["load_mlp", "load_network", "read_layers"]

MAX_LAYERS = 64
MAX_UNPACKED_BYTES = 256 << 20

Layer = tuple[Array, Array]


def load_mlp(path: Path, *, name: str | None = None) -> Policy:
    """Load an npz network and the manifest beside it (its own, or that of its ONNX twin).

    Raises:
        PolicyLoadError: manifest or network cannot be used.
    """
    return load_network(path.parent, read_manifest(path), name=name or path.stem)


def load_network(folder: Path, manifest: Manifest, *, name: str) -> Policy:
    """Load the network a manifest names.

    Args:
        folder: where the manifest lies.
        manifest: of kind `numpy`, or with a numpy twin.
        name: a word for people.

    Raises:
        PolicyLoadError: the network cannot be used.
    """
    if manifest.mlp is None:
        raise PolicyLoadError(f"{name}: the manifest names no numpy network")
    path = folder / manifest.mlp.model
    data = read_model(path, manifest.mlp.sha256)
    try:
        policy = _policy(manifest, manifest.mlp, read_layers(data), name)
        policy.probe()
    except (ValueError, PolicyLoadError) as exc:
        raise PolicyLoadError(f"{path}: {exc}") from exc
    return policy


def _policy(manifest: Manifest, file: MlpFile, layers: Sequence[Layer], name: str) -> ModelPolicy:
    source, sink = manifest.inputs[0].tensor, manifest.outputs[0].tensor
    dtype = layers[0][0].dtype
    wiring = wire(
        manifest,
        {source: Tensor((layers[0][0].shape[0],), dtype)},
        {sink: Tensor((layers[-1][0].shape[1],), dtype)},
    )
    network = _Network(layers, _ACTIVATIONS[file.activation])

    def bind(rows: Rows) -> Run:
        return network.bind(rows.inputs[source], rows.outputs[sink])

    return ModelPolicy(manifest, wiring, bind, kind="numpy", name=name)


class _Network:
    """The layers and the hidden values of a pass, shared by all batch sizes."""

    def __init__(self, layers: Sequence[Layer], activate: Activation) -> None:
        self._layers = layers
        self._activate = activate
        self._hidden: list[tuple[Array, Array]] = []

    def bind(self, x: Array, out: Array) -> Run:
        """Prepare a pass from `x` (n, inputs) to `out` (n, outputs)."""
        activate = self._activate
        hidden = [(a[: len(x)], spare[: len(x)]) for a, spare in self._room(len(x))]
        sources = (x, *(a for a, _ in hidden))
        inner = list(zip(sources, self._layers, hidden, strict=False))
        before_last, (weight, bias) = sources[-1], self._layers[-1]

        def run(observation: ArrayMap) -> None:
            with np.errstate(all="ignore"):  # tiny numbers underflow; the answer is checked
                for source, (w, b), (target, spare) in inner:
                    np.matmul(source, w, out=target)
                    np.add(target, b, out=target)
                    activate(target, spare)
                np.matmul(before_last, weight, out=out)
                np.add(out, bias, out=out)

        return run

    def _room(self, count: int) -> list[tuple[Array, Array]]:
        """Hidden values and scratch for `count` rows; grown by doubling."""
        inner = self._layers[:-1]
        if inner and (not self._hidden or len(self._hidden[0][0]) < count):
            capacity = 1 << (count - 1).bit_length()
            shapes = [((capacity, w.shape[1]), w.dtype) for w, _ in inner]
            self._hidden = [(np.empty(s, d), np.empty(s, d)) for s, d in shapes]
        return self._hidden


def read_layers(data: bytes) -> list[Layer]:
    """Read the layers of an npz network.

    Args:
        data: the archive.

    Returns:
        Weight (inputs, outputs) and bias (outputs,) per layer, all of one float dtype.

    Raises:
        ValueError: it is no archive, holds anything else, is too large, or its layers do not
            follow from one another.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = _arrays(archive)
    except ValueError:
        raise
    except Exception as exc:  # a decompressor's own, or what numpy meets in a header: it is Python
        what = f"{type(exc).__name__}: {str(exc)[:200]}"
        raise ValueError(f"is no readable npz archive: {what}") from exc
    expected = {f"{letter}{index}" for index in range(len(arrays) // 2) for letter in "wb"}
    if not arrays or set(arrays) != expected:
        raise ValueError(
            f"expected the arrays w0, b0, w1, b1, ... in pairs, got {', '.join(sorted(arrays))}"
        )
    layers = [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(len(arrays) // 2)]
    _check_layers(layers)
    return layers


def _arrays(archive: zipfile.ZipFile) -> dict[str, Array]:
    members = archive.infolist()
    if len(members) > 2 * MAX_LAYERS:
        raise ValueError(f"holds {len(members)} arrays; at most {2 * MAX_LAYERS} are read")
    total = sum(member.file_size for member in members)
    if total > MAX_UNPACKED_BYTES:
        raise ValueError(f"unpacks to {total} bytes; at most {MAX_UNPACKED_BYTES} are read")
    arrays: dict[str, Array] = {}
    for member in members:
        found = re.fullmatch(r"([wb]\d{1,3})\.npy", member.filename)
        if found is None or found[1] in arrays:
            raise ValueError(f"member {member.filename!r} is not expected, or is there twice")
        arrays[found[1]] = _array(archive, member)
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Unpack one array, after its header has agreed with the size the archive declares."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"{member.filename}: npy version {version} is not read")
        shape, column_order, dtype = readers[version](file)
        if dtype.str not in _FLOATS:
            raise ValueError(f"{member.filename} is {dtype}; weights are float32 or float64")
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or file.tell() + size != member.file_size:
            raise ValueError(
                f"{member.filename} says {shape} {dtype} but holds {member.file_size} bytes"
            )
        body = file.read(size)
    order: Any = "F" if column_order else "C"
    array = np.frombuffer(body, dtype).reshape(shape, order=order)
    return np.ascontiguousarray(array)


def _check_layers(layers: Sequence[Layer]) -> None:
    width = None
    for index, (weight, bias) in enumerate(layers):
        fits = weight.ndim == 2 and bias.shape == weight.shape[1:] and 0 not in weight.shape
        if not fits or width not in (None, weight.shape[0]):
            raise ValueError(
                f"layer {index}: w{index} is {weight.shape} and b{index} {bias.shape}; expected "
                f"({'inputs' if width is None else width}, outputs) and (outputs,)"
            )
        if weight.dtype != layers[0][0].dtype or bias.dtype != weight.dtype:
            raise ValueError(f"layer {index}: every array must have the same dtype")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"layer {index} holds values that are not finite")
        width = weight.shape[1]


_FLOATS: tuple[str, ...] = ("<f4", "<f8")

Activation = Callable[[Array, Array], Any]
"""Changes its first argument in place; the second, of the same shape, is scratch."""


def _tanh(x: Array, spare: Array) -> None:
    np.tanh(x, out=x)


def _relu(x: Array, spare: Array) -> None:
    np.maximum(x, 0, out=x)


def _elu(x: Array, spare: Array) -> None:
    np.minimum(x, 0, out=spare)
    np.expm1(spare, out=spare)
    np.maximum(x, 0, out=x)
    np.add(x, spare, out=x)


def _sigmoid(x: Array, spare: Array) -> None:
    """By tanh, which does not overflow."""
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def _none(x: Array, spare: Array) -> None:
    """Leave `x` as it is."""


_ACTIVATIONS: dict[str, Activation] = {
    "tanh": _tanh,
    "relu": _relu,
    "elu": _elu,
    "sigmoid": _sigmoid,
    "none": _none,
}
