"""numpy's arrays as pickles hold them, built from what `unpickle` read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.fields import DTYPES
from .unpickle import Made, Name

__all__ = ["NUMPY_NAMES", "array_of", "dtype_of", "number_of"]

Array = NDArray[Any]

_MODULES = ("numpy._core", "numpy.core")
_RECONSTRUCT = {f"{module}.multiarray._reconstruct" for module in _MODULES}
_FROM_BUFFER = {f"{module}.numeric._frombuffer" for module in _MODULES}
_SCALAR = {f"{module}.multiarray.scalar" for module in _MODULES}

NUMPY_NAMES = frozenset(
    {"numpy.dtype", "numpy.ndarray", *_RECONSTRUCT, *_FROM_BUFFER, *_SCALAR}
    # An environment's generator comes with its spaces; it is never looked at.
    | {f"numpy.random._pickle.__{what}_ctor" for what in ("generator", "bit_generator")}
    | {f"numpy.random._{kind.lower()}.{kind}" for kind in ("PCG64", "MT19937", "Philox", "SFC64")}
    | {
        f"numpy.random.bit_generator.{name}"
        for name in ("__pyx_unpickle_SeedSequence", "SeedSequence")
    }
    | {"numpy.random._pickle.__randomstate_ctor"}
    | {f"numpy.{dtype}" for dtype in DTYPES}
)
"""Every name that numpy's own arrays, numbers and generators are pickled with."""

_KINDS = "fiub"
MAX_ELEMENTS = 1 << 24


def array_of(value: Any) -> Array:
    """An array, or a number as an array of no dimensions.

    Raises:
        ValueError: it is none, or does not agree with itself.
    """
    if isinstance(value, (bool, int, float)):
        try:
            return np.asarray(float(value))
        except OverflowError as exc:
            raise ValueError("a number beyond every float") from exc
    if not isinstance(value, Made):
        raise ValueError(f"expected an array, got {type(value).__name__}")
    if str(value.by) in _RECONSTRUCT:
        _version, shape, dtype, column_order, data = _fields(value.state, 5)
    elif str(value.by) in _FROM_BUFFER:
        data, dtype, shape, order = _fields(value.args, 4)
        column_order = order == "F"
    elif str(value.by) in _SCALAR:
        (dtype, data), shape, column_order = _fields(value.args, 2), (), False
    else:
        raise ValueError(f"expected an array, got {value.by}")
    return _array(data, dtype_of(dtype), shape, column_order=bool(column_order))


def number_of(value: Any) -> float:
    """A number, Python's or numpy's.

    Raises:
        ValueError: it is none.
    """
    array = array_of(value)
    if array.ndim:
        raise ValueError(f"expected a number, got an array of shape {array.shape}")
    return float(array)


def dtype_of(value: Any) -> np.dtype[Any]:
    """A dtype of floats, whole numbers or truth values.

    Raises:
        ValueError: it is none of these.
    """
    text = value
    if isinstance(value, Name) and value.module == "numpy":
        text = value.name
    if isinstance(value, Made) and str(value.by) == "numpy.dtype" and value.args:
        text = value.args[0]
        order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else ""
        text = f"{order}{text}" if order in ("<", ">") else text
    if not isinstance(text, str) or len(text) > 16:
        raise ValueError("expected a dtype")
    try:
        dtype = np.dtype(text)
    except TypeError as exc:
        raise ValueError(f"expected a dtype, got {text!r}") from exc
    if dtype.kind not in _KINDS:
        raise ValueError(f"{dtype} is no dtype of numbers")
    return dtype


def _fields(value: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or len(value) != count:
        raise ValueError(f"expected an array's {count} parts")
    return value


def _array(data: Any, dtype: np.dtype[Any], shape: Any, *, column_order: bool) -> Array:
    sizes = shape if isinstance(shape, tuple) else (None,)
    if any(not isinstance(size, int) or size < 0 for size in sizes) or len(sizes) > 8:
        raise ValueError("expected an array's shape")
    count = math.prod(sizes)
    if not isinstance(data, (bytes, bytearray)) or count > MAX_ELEMENTS:
        raise ValueError("expected an array's bytes")
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for {count} x {dtype}")
    flat: Array = np.frombuffer(data, dtype)
    array: Array = flat.reshape(sizes, order="F" if column_order else "C").copy()
    return array
