"""A state dict in torch's zip format, read by numpy alone.

The archive has `data.pkl`, which says what tensors there are and which storage each lies in, and
one file of raw numbers per storage. The pickle is read by `unpickle`; only the names below may
occur.

Source: torch/serialization.py and torch/_utils.py (`_rebuild_tensor_v2`, `persistent_load`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from .archive import Archive
from .unpickle import Made, Name, Persistent, read

__all__ = ["TENSOR_NAMES", "read_state_dict"]

Array = NDArray[Any]

_STORAGES: dict[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # the upper half of a float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_DICT = "collections.OrderedDict"
TENSOR_NAMES = frozenset({_TENSOR, _PARAMETER, _DICT, *(f"torch.{name}" for name in _STORAGES)})
"""Every name that tensors are pickled with."""

MAX_ELEMENTS = 1 << 26
MAX_DIMENSIONS = 8


def read_state_dict(data: bytes, source: str) -> dict[str, Array]:
    """Read the tensors of a state dict.

    Args:
        data: a file as torch.save writes it, since torch 1.6.
        source: how messages call it.

    Returns:
        The tensors by name, in the file's order; bfloat16 as float32.

    Raises:
        PolicyLoadError: it is no such file, or holds anything but tensors by name.
    """
    archive = Archive(data, source)
    pickles = [
        name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")
    ]
    if len(pickles) != 1:
        raise PolicyLoadError(f"{source} is no file of torch.save: expected one data.pkl in it")
    folder = pickles[0].partition("/")[0]
    order = f"{folder}/byteorder"
    if order in archive.names and archive.read(order).strip() != b"little":
        raise PolicyLoadError(f"{source} was written on a big-endian machine; save it again")
    found = read(archive.read(pickles[0]), f"{source}, data.pkl", TENSOR_NAMES.__contains__)
    try:
        reader = _Storages(archive, folder)
        return {name: reader.tensor(value) for name, value in _items(found).items()}
    except (ValueError, TypeError) as exc:
        raise PolicyLoadError(f"{source} is no state dict: {exc}") from exc


def _items(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Made) and str(value.by) == _DICT and not value.args:
        value = dict(value.items)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("expected tensors by name")
    return value


class _Storages:
    """The raw numbers of an archive; each storage is unpacked once."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._read: dict[str, Array] = {}

    def tensor(self, value: Any) -> Array:
        """The array a tensor stands for."""
        if isinstance(value, Made) and str(value.by) == _PARAMETER and value.args:
            _check_plain(value, 3)
            value = value.args[0]
        if not isinstance(value, Made) or str(value.by) != _TENSOR or len(value.args) < 4:
            raise ValueError("expected a tensor")
        _check_plain(value, 6)
        storage, offset, sizes, strides = value.args[:4]
        return _view(self._storage(storage), offset, _sizes(sizes), _sizes(strides))

    def _storage(self, value: Any) -> Array:
        key = value.key if isinstance(value, Persistent) else None
        if not isinstance(key, tuple) or len(key) != 5 or key[0] != "storage":
            raise ValueError("expected a storage")
        _, kind, name, _device, count = key
        if not isinstance(kind, Name) or kind.name not in _STORAGES or not isinstance(name, str):
            raise ValueError("expected a storage's type and name")
        if name not in self._read:
            data = self._archive.read(f"{self._folder}/data/{name}")
            array = np.frombuffer(data, _STORAGES[kind.name])
            if len(array) != count:
                raise ValueError(f"storage {name} has {len(array)} numbers and says {count}")
            if kind.name == "BFloat16Storage":
                array = (array.astype("<u4") << 16).view("<f4")
            self._read[name] = array
        return self._read[name]


def _check_plain(value: Made, count: int) -> None:
    """Refuse what else is said of a tensor: `neg` says that its numbers have the other sign."""
    if value.state is not None or value.items or any(more != {} for more in value.args[count:]):
        raise ValueError("a tensor has more than its numbers (a view of others?): save its clone()")


def _sizes(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, tuple) and all(type(size) is int and size >= 0 for size in value)
    if not whole or len(value) > MAX_DIMENSIONS:
        raise ValueError("expected a tensor's sizes")
    return tuple(value)


def _view(storage: Array, offset: Any, sizes: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """The part of a storage a tensor is made of, copied; never beyond the storage's end."""
    if type(offset) is not int or offset < 0 or len(sizes) != len(strides):
        raise ValueError("expected a tensor's place in its storage")
    if math.prod(sizes) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {sizes}: more than {MAX_ELEMENTS} numbers")
    last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= len(storage):
        raise ValueError(f"a tensor of shape {sizes} reaches beyond its storage")
    if 0 in sizes:
        return np.zeros(sizes, storage.dtype)
    step = storage.itemsize
    view = np.lib.stride_tricks.as_strided(
        storage[offset:], sizes, [stride * step for stride in strides], writeable=False
    )
    return np.ascontiguousarray(view).reshape(sizes)
