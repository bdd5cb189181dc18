"""One field's array as json text, and back.

Numbers are written with one format string per field, made once; the digits are those that bring
every value back bit for bit. One environment is written without the num_envs axis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Field
from ..errors import ObservationError, RemoteProtocolError
from . import jsontext
from .messages import Arrays

__all__ = ["AbsentFieldError", "FieldText", "absence"]

_FORMATS = {"float16": "%.5g", "float32": "%.9g", "float64": "%.17g", "bool": "%s"}
_MAX_INT = 1 << 63
_MINUS_ZERO = re.compile(r"(?<!e)-0(?=[],]|$)")
_MOST_FIELDS = 32  # that an error describes


class AbsentFieldError(RemoteProtocolError):
    """A field of the contract did not come."""


class FieldText:
    """Writes and reads the array of one field.

    Attributes:
        name: the field's.
    """

    def __init__(self, field: Field, num_envs: int) -> None:
        """Know the field and how many environments there are."""
        self.name = field.name
        self._field = field
        self._shape = (num_envs, *field.shape)
        self._listed = self._shape if num_envs > 1 else field.shape
        self._key = jsontext.dumps({field.name: 0}).decode("ascii")[1:-2]
        spec = _FORMATS.get(field.dtype, "%d")
        for size in reversed(self._listed):
            spec = "[" + ",".join([spec] * size) + "]"
        self._format = spec

    def write(self, arrays: Arrays) -> str:
        """`"name":[...]` for the field's array among `arrays`.

        Raises:
            ObservationError: a number is not finite.
        """
        values = arrays[self.name].ravel().tolist()
        if self._field.dtype == "bool":
            values = ["true" if value else "false" for value in values]
        text = self._format % tuple(values)
        if self._field.is_float:
            if "n" in text:  # nan or inf
                raise ObservationError(f"field {self.name!r} holds NaN or infinity")
            if "-0" in text:
                text = _MINUS_ZERO.sub("-0.0", text)  # or it comes back as a whole number, 0
        return self._key + text

    def read(self, data: Mapping[str, Any]) -> NDArray[Any]:
        """The field's array (num_envs, *shape) from the lists in `data`.

        Raises:
            RemoteProtocolError: missing, of another shape, or not numbers of the field's dtype.
        """
        field = self._field
        if field.name not in data:
            raise AbsentFieldError(f"field {field.name!r} is missing")
        numbers: list[Any] = []
        self._flatten(data[field.name], self._listed, numbers)
        try:
            with np.errstate(over="raise"):
                # Whole numbers never by way of float64, which has not room for all of them.
                array = np.array(numbers, np.float64 if field.is_float else field.numpy_dtype)
                array = array.astype(field.numpy_dtype, casting="unsafe", copy=False)
        except (OverflowError, FloatingPointError, ValueError) as exc:
            raise RemoteProtocolError(
                f"field {field.name!r}: a number does not fit {field.dtype}"
            ) from exc
        return array.reshape(self._shape)

    def __str__(self) -> str:
        """What is expected: `q float32 (6,) rad`."""
        return f"{self.name} {self._field.dtype} {self._listed} {self._field.unit}".rstrip()

    def _flatten(self, value: Any, shape: tuple[int, ...], into: list[Any]) -> None:
        if not shape:
            self._check_number(value)
            into.append(value)
            return
        if not isinstance(value, list) or len(value) != shape[0]:
            raise RemoteProtocolError(self._misfit(value, shape))
        if len(shape) > 1:
            for item in value:
                self._flatten(item, shape[1:], into)
            return
        for item in value:
            self._check_number(item)
        into.extend(value)

    def _misfit(self, value: Any, shape: tuple[int, ...]) -> str:
        """What was expected, what came, what to do."""
        labels = self._field.labels if len(shape) == 1 else ()
        named = f" ({', '.join(labels[:16])})" if labels else ""
        what = "numbers" if len(shape) == 1 else f"lists, for shape {shape},"
        text = f"field {self.name!r}: expected a list of {shape[0]} {what}{named}, got "
        if not isinstance(value, list):
            return f"{text}{type(value).__name__}"
        if not value:
            return f"{text}an empty one; ask again once the simulator has a state to send"
        return f"{text}{len(value)}; nothing is padded or cut, so send as many"

    def _check_number(self, value: Any) -> None:
        kind = type(value)
        field = self._field
        if field.dtype == "bool":
            fits = kind is bool
        elif field.is_float:
            fits = kind is float or (kind is int and -_MAX_INT < value < _MAX_INT)
        else:
            info = np.iinfo(field.dtype)
            fits = kind is int and int(info.min) <= value <= int(info.max)
        if not fits:
            raise RemoteProtocolError(
                f"field {self.name!r}: expected {field.dtype} numbers, got {str(value)[:40]!r}"
            )


def absence(fields: Sequence[FieldText], data: Mapping[str, Any]) -> str:
    """Which of an observation's fields did not come, and what the policy takes."""
    missing = ", ".join(repr(field.name) for field in fields if field.name not in data)
    several = ", " in missing
    taken = ", ".join(map(str, fields[:_MOST_FIELDS]))
    more = f" and {len(fields) - _MOST_FIELDS} more" if len(fields) > _MOST_FIELDS else ""
    return (
        f"field{'s' * several} {missing} {'are' if several else 'is'} missing; the policy takes "
        f"{taken}{more}"
    )
