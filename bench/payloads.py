"""What travels: the four payloads of the benchmark, as tables of fields.

Read by both interpreters of a run, so it needs numpy and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Slot:
    """One array of a payload: name, shape of one env, dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Payload:
    """What is asked and answered; `num_envs` None: a single env, without a leading axis."""

    ask: tuple[Slot, ...]
    answer: tuple[Slot, ...]
    num_envs: int | None = None

    def full_shape(self, slot: Slot) -> tuple[int, ...]:
        """Shape of one array of this payload as a caller holds it."""
        return slot.shape if self.num_envs is None else (self.num_envs, *slot.shape)

    def size(self, slots: tuple[Slot, ...]) -> int:
        """Bytes of one direction."""
        return sum(prod(self.full_shape(s)) * np.dtype(s.dtype).itemsize for s in slots)

    def arrays(self, slots: tuple[Slot, ...]) -> dict[str, Array]:
        """Ones in the shape of one direction."""
        return {s.name: np.ones(self.full_shape(s), s.dtype) for s in slots}


def _vectors(num_envs: int) -> Payload:
    ask = (
        Slot("q", (12,), "float32"),
        Slot("dq", (12,), "float32"),
        Slot("task", (24,), "float32"),
    )
    return Payload(ask, (Slot("command", (12,), "float32"),), num_envs)


PAYLOADS: dict[str, Payload] = {
    # one arm: 24 float32 -> 6
    "S": Payload(
        (Slot("q", (6,), "float32"), Slot("dq", (6,), "float32"), Slot("task", (12,), "float32")),
        (Slot("command", (6,), "float32"),),
    ),
    # a small vector env, and a large one: num_envs x 48 -> num_envs x 12
    "V": _vectors(64),
    "H": _vectors(4096),
    # two cameras -> a chunk of 50 actions of 14 joints
    "I": Payload(
        (Slot("left", (224, 224, 3), "uint8"), Slot("right", (224, 224, 3), "uint8")),
        (Slot("chunk", (50, 14), "float32"),),
    ),
}
