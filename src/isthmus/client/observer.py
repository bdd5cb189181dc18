"""What a simulator hands over, turned into the contract's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract, Field
from ..contract.joints import JointMap
from ..errors import ObservationError

__all__ = ["Observer"]


class Observer:
    """Checks names, shapes and dtypes, and puts joints into the contract's order.

    Attributes:
        robot: the last observation in the robot's own order of joints, (num_envs, ...) each;
            kept only where that order is another one.
    """

    def __init__(self, contract: Contract, num_envs: int | None, joints: JointMap | None) -> None:
        """Take arrays with a leading axis of `num_envs`, or without one if it is None."""
        self._fields = contract.observation
        self._names = frozenset(field.name for field in contract.observation)
        lead = () if num_envs is None else (num_envs,)
        self._shapes = {f.name: (*lead, *_robot_shape(f, joints)) for f in contract.observation}
        self._joints = joints if joints is not None and not joints.is_identity else None
        self._single = num_envs is None
        self.robot: dict[str, NDArray[Any]] = {}
        self._dtypes = {f.name: f.numpy_dtype for f in contract.observation}

    def arrays(self, given: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Arrays of shape (num_envs, *field.shape) in the contract's order of joints.

        Raises:
            ObservationError: a field is missing, unknown, of the wrong shape or dtype.
        """
        if given.keys() != self._names:
            raise ObservationError(self._wrong_names(given))
        found = {}
        for field in self._fields:
            name = field.name
            array = given[name]
            if type(array) is not np.ndarray:
                array = _as_array(name, array)
            if array.shape != self._shapes[name]:
                raise ObservationError(
                    f"observation {name!r}: expected shape {self._shapes[name]}, got "
                    f"{array.shape}; nothing is padded, cut or broadcast"
                )
            if array.dtype != self._dtypes[name]:
                array = _cast(field, array)
            if self._joints is not None:
                self.robot[name] = array[None] if self._single else array
                array = self._joints.gather(name, array)
            found[name] = array[None] if self._single else array
        return found

    def _wrong_names(self, given: Mapping[str, Any]) -> str:
        missing = sorted(self._names - given.keys())
        unknown = sorted(map(str, given.keys() - self._names))
        parts = []
        if missing:
            parts.append(f"missing {', '.join(missing)}")
        if unknown:
            parts.append(f"unknown {', '.join(unknown)}")
        return (
            f"the observation does not fit the contract: {'; '.join(parts)}. It has "
            f"{', '.join(field.name for field in self._fields)}"
        )


def _cast(field: Field, array: NDArray[Any]) -> NDArray[Any]:
    """The array in the field's dtype; a float too large for it becomes infinite."""
    wanted = field.numpy_dtype
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ObservationError(
            f"observation {field.name!r}: expected {field.dtype}, got {array.dtype}, which "
            "cannot become it without losing what it means; convert it first"
        )
    if wanted.kind in "iu" and array.size:
        info = np.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < info.min or high > info.max:
            raise ObservationError(
                f"observation {field.name!r}: expected {field.dtype}, from {info.min} to "
                f"{info.max}, got {array.dtype} from {low} to {high}"
            )
    with np.errstate(over="ignore"):
        return array.astype(wanted)


def _robot_shape(field: Field, joints: JointMap | None) -> tuple[int, ...]:
    if joints is None or field.name not in joints.observation_fields:
        return field.shape
    return (*field.shape[:-1], len(joints.joints))


def _as_array(name: str, value: Any) -> NDArray[Any]:
    """Lists and numbers by numpy, tensors by DLPack; nothing else is imported for it."""
    if isinstance(value, np.ndarray):  # a subclass; DLPack would refuse a read-only one
        return np.asarray(value)
    if value is None:
        raise ObservationError(
            f"observation {name!r} is None: the simulator's state is not ready yet"
        )
    if hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        for method in ("detach", "cpu"):
            value = getattr(value, method, lambda same=value: same)()
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, AttributeError) as exc:
            raise ObservationError(
                f"observation {name!r}: {type(value).__name__} cannot become a numpy array: {exc}"
            ) from exc
    try:
        array = np.asarray(value)
    except ValueError as exc:
        raise ObservationError(f"observation {name!r}: {exc}") from exc
    if array.dtype.kind not in "fiub":
        raise ObservationError(
            f"observation {name!r}: expected numbers, got {type(value).__name__} of {array.dtype}"
        )
    return array
