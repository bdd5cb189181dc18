"""Reading a manifest: strictly, and against the contract it embeds.

Everything that can be known without the model is checked here; what needs the model's tensors
is checked by `mapping`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import strictjson
from ..contract import Contract
from ..contract.fields import DTYPES
from ..errors import ContractError, PolicyLoadError
from .files import MAX_MANIFEST_BYTES, read_file
from .manifest import (
    ACTIVATIONS,
    KINDS,
    MANIFEST_VERSION,
    InputMap,
    Manifest,
    MlpFile,
    Normalisation,
    OutputMap,
    StateMap,
    manifest_path,
)
from .reading import (
    Numbers,
    read_choice,
    read_file_name,
    read_list,
    read_number,
    read_numbers,
    read_object,
    read_sha256,
    read_size,
    read_text,
)

__all__ = ["is_bare", "parse_manifest", "read_manifest"]

_REQUIRED: tuple[str, ...] = (
    "manifest_version",
    "kind",
    "model",
    "sha256",
    "interface_hash",
    "contract",
    "inputs",
    "outputs",
    "normalisation",
)
_OPTIONAL: tuple[str, ...] = ("last_action", "state", "numpy", "activation", "provenance")


def is_bare(model: Path) -> bool:
    """Whether a path is an ONNX model that has no manifest, not even one that cannot be read.

    A link has one, too, where the file lies that it leads to: that manifest is not passed over.
    """
    if model.suffix != ".onnx" or not model.exists():
        return False
    return not any(os.path.lexists(manifest_path(each)) for each in (model, model.resolve()))


def read_manifest(model: Path) -> Manifest:
    """Read and check the manifest beside `model`.

    Raises:
        PolicyLoadError: there is none, or it contradicts itself.
    """
    path = manifest_path(model)
    if not model.exists():
        whole = "" if model.is_absolute() else f": there is no {model.absolute()}"
        raise PolicyLoadError(f"{model} does not exist{whole}")
    if not path.exists():
        raise PolicyLoadError(
            f"{model} has no manifest: {path.name} must lie beside it and say which fields feed "
            "which tensors. `isthmus export` writes it for an ONNX model of one input and one "
            "output, and `isthmus serve` by itself; for any other, write the contract with "
            "`isthmus contract from-gym ID` or `isthmus contract from-urdf FILE`, and the manifest "
            "as docs/POLICIES.md shows"
        )
    manifest = parse_manifest(read_file(path, MAX_MANIFEST_BYTES), source=str(path))
    known = {manifest.model} | ({manifest.mlp.model} if manifest.mlp else set())
    if model.name not in known:
        raise PolicyLoadError(
            f"{path} is about {', '.join(sorted(known))}, not {model.name}; give the model the "
            "name it was exported with"
        )
    return manifest


def parse_manifest(data: bytes, *, source: str = "manifest") -> Manifest:
    """Parse a manifest and check it against the contract it embeds.

    Args:
        data: JSON in UTF-8.
        source: how messages call it.

    Raises:
        PolicyLoadError: anything in it is missing, unknown, of the wrong type, or contradicts
            the rest.
    """
    try:
        manifest = _manifest(strictjson.loads(data.decode()), hashlib.sha256(data).hexdigest())
        _check_fields(manifest)
        _check_tensors(manifest)
        _check_lengths(manifest)
    except (ValueError, ContractError) as exc:
        raise PolicyLoadError(f"{source}: {exc}") from exc
    return manifest


def _manifest(data: Any, digest: str) -> Manifest:
    keys = read_object(data, "manifest", _REQUIRED, _OPTIONAL)
    version = keys["manifest_version"]
    if version != MANIFEST_VERSION or isinstance(version, bool):
        raise ValueError(
            f"manifest_version {version!r}: this isthmus reads version {MANIFEST_VERSION}"
        )
    kind = read_choice(keys["kind"], "kind", KINDS)
    contract = Contract.from_dict(keys["contract"])
    if keys["interface_hash"] != contract.interface_hash:
        raise ValueError(
            f"interface_hash is {keys['interface_hash']!r}, but the embedded contract's is "
            f"{contract.interface_hash}; one of them was edited: export the model again"
        )
    provenance = keys.get("provenance", {})
    if not isinstance(provenance, dict):
        raise ValueError("provenance must be an object")
    model, sha256 = read_file_name(keys["model"], "model"), read_sha256(keys["sha256"], "sha256")
    return Manifest(
        kind=kind,
        model=model,
        sha256=sha256,
        contract=contract,
        inputs=read_list(keys["inputs"], "inputs", _input),
        outputs=read_list(keys["outputs"], "outputs", _output),
        normalisation=_normalisations(keys["normalisation"]),
        last_action=read_text(keys.get("last_action") or "", "last_action", empty=True),
        state=read_list(keys.get("state", []), "state", _state),
        mlp=_mlp(keys, kind, model, sha256),
        provenance=provenance,
        digest=digest,
    )


def _mlp(keys: Mapping[str, Any], kind: str, model: str, sha256: str) -> MlpFile | None:
    """The network in numpy's form: the model itself, or its twin."""
    if kind == "numpy":
        if keys.get("numpy") is not None or "activation" not in keys:
            raise ValueError("kind 'numpy' takes 'activation' beside 'model', and no 'numpy'")
        return MlpFile(model, sha256, read_choice(keys["activation"], "activation", ACTIVATIONS))
    if "activation" in keys:
        raise ValueError("'activation' belongs to kind 'numpy'; a graph has its own")
    if keys.get("numpy") is None:
        return None
    twin = read_object(keys["numpy"], "numpy", ("model", "sha256", "activation"), ())
    return MlpFile(
        read_file_name(twin["model"], "numpy.model"),
        read_sha256(twin["sha256"], "numpy.sha256"),
        read_choice(twin["activation"], "numpy.activation", ACTIVATIONS),
    )


def _input(data: Any, where: str) -> InputMap:
    keys = read_object(data, where, ("tensor", "concat"), ())
    concat = read_list(keys["concat"], f"{where}.concat", read_text)
    if not concat or len(set(concat)) != len(concat):
        raise ValueError(f"{where}.concat must name fields, each once, got {list(concat)}")
    return InputMap(read_text(keys["tensor"], f"{where}.tensor"), concat)


def _output(data: Any, where: str) -> OutputMap:
    keys = read_object(data, where, ("tensor", "field"), ("clip", "scale", "offset"))
    clip = keys.get("clip")
    if clip is not None:
        if not isinstance(clip, list) or len(clip) != 2:
            raise ValueError(f"{where}.clip must be [low, high], got {clip!r}")
        clip = (read_numbers(clip[0], f"{where}.clip"), read_numbers(clip[1], f"{where}.clip"))
    return OutputMap(
        read_text(keys["tensor"], f"{where}.tensor"),
        read_text(keys["field"], f"{where}.field"),
        clip,
        read_numbers(keys.get("scale", 1.0), f"{where}.scale"),
        read_numbers(keys.get("offset", 0.0), f"{where}.offset"),
    )


def _normalisations(data: Any) -> dict[str, Normalisation]:
    if data in ("graph", "none"):
        return {}
    if not isinstance(data, dict) or not data:
        raise ValueError(
            "normalisation must be 'graph' (the model does it), 'none', or an object with mean "
            f"and std per input tensor, never both; got {data!r:.60}"
        )
    return {name: _statistics(item, f"normalisation.{name}") for name, item in data.items()}


def _statistics(data: Any, where: str) -> Normalisation:
    keys = read_object(data, where, ("mean", "std"), ("clip",))
    std, clip = read_numbers(keys["std"], f"{where}.std"), keys.get("clip")
    if any(value <= 0 for value in (std if isinstance(std, tuple) else (std,))):
        raise ValueError(f"{where}.std must be greater than 0 everywhere")
    if clip is not None:
        clip = read_number(clip, f"{where}.clip")
        if clip <= 0:
            raise ValueError(f"{where}.clip must be greater than 0, got {clip}")
    return Normalisation(read_numbers(keys["mean"], f"{where}.mean"), std, clip)


def _state(data: Any, where: str) -> StateMap:
    keys = read_object(data, where, ("input", "output", "shape", "dtype"), ())
    return StateMap(
        read_text(keys["input"], f"{where}.input"),
        read_text(keys["output"], f"{where}.output"),
        read_list(keys["shape"], f"{where}.shape", read_size),
        read_choice(keys["dtype"], f"{where}.dtype", DTYPES),
    )


def _check_fields(manifest: Manifest) -> None:
    """Hold the names in the maps against the contract's."""
    known = {field.name for field in manifest.contract.observation}
    last = manifest.last_action
    if last in known:
        raise ValueError(
            f"last_action {last!r} is also an observation field; only one of them can be meant"
        )
    readable = sorted(known | ({last} if last else set()))
    read = [name for item in manifest.inputs for name in item.concat]
    for name in read:
        if name not in readable:
            raise ValueError(
                f"inputs read {name!r}, which is no observation field; the contract has "
                f"{', '.join(readable)}"
            )
    if last and last not in read:
        raise ValueError(f"last_action {last!r} is read by no input")
    written = [item.field for item in manifest.outputs]
    expected = [field.name for field in manifest.contract.action]
    if sorted(written) != sorted(expected):
        raise ValueError(
            f"outputs must produce each action field exactly once: {', '.join(expected)}; "
            f"got {', '.join(written) or 'none'}"
        )


def _check_tensors(manifest: Manifest) -> None:
    """Each tensor has one job."""
    if not manifest.inputs:
        raise ValueError("inputs must name at least one tensor")
    sides = {
        "input": [i.tensor for i in manifest.inputs] + [s.input for s in manifest.state],
        "output": [o.tensor for o in manifest.outputs] + [s.output for s in manifest.state],
    }
    for side, names in sides.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{side} tensor {twice[0]!r} is named twice")
    if manifest.last_action in sides["input"]:
        raise ValueError(f"last_action {manifest.last_action!r} is also a tensor's name")
    for name in manifest.normalisation:
        if name not in sides["input"][: len(manifest.inputs)]:
            raise ValueError(f"normalisation names {name!r}, which is no input tensor here")
    if manifest.kind == "numpy" or manifest.mlp:
        plain = len(manifest.inputs) == len(manifest.outputs) == 1 and not manifest.state
        if not plain:
            raise ValueError(
                "a numpy network has one input tensor, one output tensor and no state; "
                "leave 'numpy' out and serve this model with ONNX Runtime"
            )


def _check_lengths(manifest: Manifest) -> None:
    """Hold lists of numbers against the widths the contract gives."""
    fields = {field.name: field for field in manifest.contract.action}
    for item in manifest.outputs:
        shape = fields[item.field].shape
        size = shape[-1] if shape else 1
        where = f"outputs, field {item.field!r}"
        low, high = item.clip or (0.0, 0.0)
        for name, value in (
            ("clip", low),
            ("clip", high),
            ("scale", item.scale),
            ("offset", item.offset),
        ):
            _check_length(f"{where}: {name}", value, size)
        if any(a > b for a, b in zip(_spread(low, size), _spread(high, size), strict=True)):
            raise ValueError(f"{where}: clip has low > high: {item.clip}")
    widths = {field.name: field.width for field in manifest.contract.observation}
    widths[manifest.last_action] = sum(fields[item.field].width for item in manifest.outputs)
    for item_in in manifest.inputs:
        statistics = manifest.normalisation.get(item_in.tensor)
        if statistics is not None:
            width = sum(widths[name] for name in item_in.concat)
            for name, value in (("mean", statistics.mean), ("std", statistics.std)):
                _check_length(f"normalisation of {item_in.tensor!r}: {name}", value, width)


def _check_length(where: str, value: Numbers, size: int) -> None:
    if isinstance(value, tuple) and len(value) != size:
        raise ValueError(f"{where} has {len(value)} numbers; expected 1 or {size}")


def _spread(value: Numbers, size: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * size
