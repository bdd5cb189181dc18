"""Which array goes where: a manifest held against the tensors of its model.

What fits is decided here, once; a step only copies (`mapping`). The rules, all of them:

- A tensor's first axis is the batch and open; the rest must be the sizes the contract gives.
- An input of one field has the field's shape, or its elements in one row; an input of several
  fields has their elements in one row, in the order of `concat`.
- Numbers become floats, and floats other floats. Anything else must be the same dtype, or a
  wider one of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contract import ActionField
from ..errors import PolicyLoadError
from .manifest import Manifest, Normalisation, OutputMap

__all__ = ["Direct", "Slot", "Sink", "Tensor", "Wiring", "wire"]

Shape = tuple[int, ...]

DIRECT_BYTES = 128 << 10
"""A row from this size on may be handed to the model where it lies: binding it takes as long as
copying about 150 kB."""


@dataclass(frozen=True)
class Tensor:
    """One row of a tensor: its shape without the batch axis, and its dtype.

    Attributes:
        shape: None stands for a size the model leaves open.
        dtype: numpy's.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        """As messages show it."""
        sizes = ["batch", *("?" if size is None else str(size) for size in self.shape)]
        return f"{self.dtype} ({', '.join(sizes)})"

    @property
    def sizes(self) -> Shape:
        """The shape, once every size is known."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def width(self) -> int:
        """Elements of a row."""
        return math.prod(self.sizes)


@dataclass(frozen=True)
class Slot:
    """A part of an input tensor that is copied from a field, the state or the last action.

    Attributes:
        tensor: of the model.
        name: of the observation field or, if `remembered`, of the state.
        shape: of one row of the source.
        start: first column, where the tensor holds several fields.
        stop: one past the last column.
        remembered: it comes from the state.
        narrowed: the copy rounds to a smaller float.
    """

    tensor: str
    name: str
    shape: Shape
    start: int
    stop: int
    remembered: bool
    narrowed: bool = False


@dataclass(frozen=True)
class Direct:
    """An input tensor that is one observation field as it lies in memory."""

    tensor: str
    field: str
    row: Tensor


@dataclass(frozen=True)
class Sink:
    """An output tensor and the action field it becomes."""

    map: OutputMap
    field: ActionField


@dataclass(frozen=True)
class Wiring:
    """Everything a step has to copy.

    Attributes:
        inputs: tensors of the model that have a buffer of ours, by name.
        outputs: the same for what it writes.
        slots: what is copied into `inputs`.
        direct: inputs that are read where they lie.
        normalise: what is normalised after copying, by tensor.
        sinks: what becomes actions.
        memory: state name -> output tensor it is kept from.
        last_action: state name of the last raw action, or "".
        state: rows of the state, by name.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    slots: tuple[Slot, ...]
    direct: tuple[Direct, ...]
    normalise: Mapping[str, Normalisation]
    sinks: tuple[Sink, ...]
    memory: Mapping[str, str]
    last_action: str
    state: Mapping[str, Tensor]

    @property
    def can_overflow(self) -> bool:
        """Whether finite input can become infinite on the way, which numpy would warn about."""
        narrowed = any(slot.narrowed for slot in self.slots) or any(
            sink.field.numpy_dtype.itemsize < self.outputs[sink.map.tensor].dtype.itemsize
            for sink in self.sinks
        )
        moved = any(
            sink.map.clip is None and (sink.map.scale != 1.0 or sink.map.offset != 0.0)
            for sink in self.sinks
        )
        return bool(narrowed or moved or self.normalise)


def wire(
    manifest: Manifest,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    *,
    direct: bool = False,
) -> Wiring:
    """Hold a manifest against the tensors of its model.

    Args:
        manifest: already agrees with its contract.
        inputs: the model's inputs, by name.
        outputs: its outputs; those the manifest does not read are left alone.
        direct: whether the model can read large fields where they lie.

    Raises:
        PolicyLoadError: a tensor is missing, not fed, or of another shape or dtype; the message
            has both.
    """
    _check_names(manifest, inputs, outputs)
    sinks = _sinks(manifest)
    written = {s.map.tensor: _written(s, outputs[s.map.tensor]) for s in sinks}
    last = {}
    if manifest.last_action:
        dtype = np.result_type(*(written[s.map.tensor].dtype for s in sinks))
        last = {manifest.last_action: Tensor((sum(s.field.width for s in sinks),), dtype)}
    state = {**_recurrent(manifest, inputs, outputs), **last}
    fields = {f.name: Tensor(f.shape, f.numpy_dtype) for f in manifest.contract.observation}

    read: dict[str, Tensor] = {}
    slots: list[Slot] = []
    views: list[Direct] = []
    for item in manifest.inputs:
        sources = {name: fields[name] if name in fields else last[name] for name in item.concat}
        normalised = item.tensor in manifest.normalisation
        row = _read(item.tensor, inputs[item.tensor], sources, normalised=normalised)
        lone = item.concat[0]
        same = len(sources) == 1 and lone in fields and fields[lone] == row
        if direct and same and not normalised and row.width * row.dtype.itemsize >= DIRECT_BYTES:
            views.append(Direct(item.tensor, lone, row))
        else:
            read[item.tensor] = row
            slots += _slots(item.tensor, row.dtype, sources, last)
    for kept in manifest.state:
        read[kept.input] = state[kept.input]
        written[kept.output] = state[kept.input]
        slots.append(Slot(kept.input, kept.input, kept.shape, 0, state[kept.input].width, True))
    return Wiring(
        inputs=read,
        outputs=written,
        slots=tuple(slots),
        direct=tuple(views),
        normalise=manifest.normalisation,
        sinks=sinks,
        memory={item.input: item.output for item in manifest.state},
        last_action=manifest.last_action,
        state=state,
    )


def _check_names(manifest: Manifest, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    fed = {i.tensor for i in manifest.inputs} | {s.input for s in manifest.state}
    read = {o.tensor for o in manifest.outputs} | {s.output for s in manifest.state}
    if fed != set(inputs):
        raise PolicyLoadError(
            f"the model has the inputs {_names(inputs)}; the manifest feeds {_names(fed)}. "
            "Each must be fed, and nothing else"
        )
    if not read <= set(outputs):
        raise PolicyLoadError(
            f"the model has the outputs {_names(outputs)}; the manifest reads {_names(read)}"
        )


def _sinks(manifest: Manifest) -> tuple[Sink, ...]:
    fields = {field.name: field for field in manifest.contract.action}
    return tuple(Sink(item, fields[item.field]) for item in manifest.outputs)


def _written(sink: Sink, tensor: Tensor) -> Tensor:
    """The row of an output that becomes an action field."""
    field, item = sink.field, sink.map
    wanted = Tensor(field.shape, field.numpy_dtype)
    what = f"output {item.tensor!r} is {tensor}; action field {field.name!r} is {wanted}"
    shape = _fit(what, tensor, field.shape, field.width)
    _check_cast(what, tensor.dtype, wanted.dtype, to_float="f")
    changed = item.clip is not None or item.scale != 1.0 or item.offset != 0.0
    if changed and tensor.dtype.kind != "f":
        raise PolicyLoadError(f"{what}: only floats can be clipped, scaled or offset")
    return Tensor(shape, tensor.dtype)


def _read(name: str, tensor: Tensor, sources: Mapping[str, Tensor], *, normalised: bool) -> Tensor:
    """The row of an input that fields are joined into."""
    width = sum(source.width for source in sources.values())
    given = ", ".join(f"{field} {source}" for field, source in sources.items())
    what = f"input {name!r} is {tensor}; its fields are {given}, together {width} wide"
    only = next(iter(sources.values())).sizes if len(sources) == 1 else (width,)
    shape = _fit(what, tensor, only, width)
    for source in sources.values():
        _check_cast(what, source.dtype, tensor.dtype, to_float="fiub")
    if normalised and tensor.dtype.kind != "f":
        raise PolicyLoadError(f"{what}: only floats can be normalised")
    return Tensor(shape, tensor.dtype)


def _recurrent(
    manifest: Manifest, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The rows of the recurrent state, by input tensor."""
    state = {}
    for item in manifest.state:
        row = Tensor(item.shape, np.dtype(item.dtype))
        for name, tensor in ((item.input, inputs[item.input]), (item.output, outputs[item.output])):
            what = f"state tensor {name!r} is {tensor}; the manifest says {row}"
            _fit(what, tensor, item.shape, None)
            if tensor.dtype != row.dtype:
                raise PolicyLoadError(f"{what}: the dtypes must be equal")
        state[item.input] = row
    return state


def _slots(
    tensor: str, dtype: np.dtype[Any], sources: Mapping[str, Tensor], last: Mapping[str, Tensor]
) -> list[Slot]:
    slots, start = [], 0
    for name, source in sources.items():
        stop = start + source.width
        narrowed = not np.can_cast(source.dtype, dtype, "safe")
        slots.append(Slot(tensor, name, source.sizes, start, stop, name in last, narrowed))
        start = stop
    return slots


def _fit(what: str, tensor: Tensor, shape: Shape, width: int | None) -> Shape:
    """Find which allowed shape the tensor has: `shape`, or `width` elements in a row."""
    for wanted in (shape, (width,)):
        if len(wanted) == len(tensor.shape) and all(
            have in (None, want) for have, want in zip(tensor.shape, wanted, strict=True)
        ):
            return tuple(size for size in wanted if size is not None)
    raise PolicyLoadError(f"{what}: the shapes do not fit. Nothing is padded or cut; change one")


def _check_cast(what: str, source: np.dtype[Any], target: np.dtype[Any], *, to_float: str) -> None:
    """Refuse conversions that could lose more than the last bits of a float."""
    floats = target.kind == "f" and source.kind in to_float
    if not floats and not (source.kind == target.kind and np.can_cast(source, target, "safe")):
        raise PolicyLoadError(f"{what}: {source} cannot become {target} without loss")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
