"""Where each array lies in the body of a binary frame.

The contract and `num_envs` decide every offset, so no frame describes itself and no element is
touched one by one. Offsets are multiples of 64. Float fields come first and lie together, so that
one dot product over a region finds a non-finite number anywhere in it.

A body is made of blocks, one after the other; a frame may end after any of them. An observation
has the blocks `observation`, then `training` and `final` when a learner asks; an action has one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract, Field
from ..errors import ContractError
from .bounds import MAX_BODY
from .messages import TRAINING_FIELDS

__all__ = ["ALIGNMENT", "Layout", "action_layout", "observation_layout"]

ALIGNMENT = 64

_FIRST = {"float32": 0, "float64": 1, "float16": 2}


@dataclass(frozen=True)
class Slot:
    """One array: where it lies and what it is. Shape has the num_envs axis."""

    name: str
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_float: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Block:
    """Some arrays that lie together. `end` is the body's length when it stops after this block."""

    slots: tuple[Slot, ...]
    start: int
    end: int

    def views(self, memory: memoryview) -> dict[str, NDArray[Any]]:
        """Arrays over `memory`, which starts where the body starts."""
        return {
            slot.name: np.frombuffer(
                memory, slot.dtype, math.prod(slot.shape), slot.offset
            ).reshape(slot.shape)
            for slot in self.slots
        }

    def float_regions(self, memory: memoryview) -> list[NDArray[Any]]:
        """One flat array per float dtype, spanning its slots and the padding between them."""
        regions = []
        for dtype in dict.fromkeys(slot.dtype for slot in self.slots if slot.is_float):
            slots = [slot for slot in self.slots if slot.dtype == dtype]
            start = slots[0].offset
            end = slots[-1].offset + slots[-1].nbytes
            count = (end - start) // dtype.itemsize
            regions.append(np.frombuffer(memory, dtype, count, start))
        return regions


@dataclass(frozen=True)
class Layout:
    """The blocks of one kind of frame.

    Attributes:
        blocks: in wire order.
        size: bytes of a body that holds every block.
    """

    blocks: tuple[Block, ...]
    size: int


def observation_layout(contract: Contract, num_envs: int, *, training: bool = False) -> Layout:
    """The layout of an Observation; with `training`, also of what a learner asks for.

    Raises:
        ContractError: the body would be larger than `bounds.MAX_BODY`.
    """
    groups: list[Sequence[Field]] = [contract.observation]
    if training:
        extra = [Field(name, (), dtype) for name, dtype in TRAINING_FIELDS]
        groups += [extra, contract.observation]
    return _layout(groups, num_envs)


def action_layout(contract: Contract, num_envs: int) -> Layout:
    """The layout of an Action.

    Raises:
        ContractError: the body would be larger than `bounds.MAX_BODY`.
    """
    return _layout([contract.action], num_envs)


def _layout(groups: list[Sequence[Field]], num_envs: int) -> Layout:
    blocks = []
    offset = 0
    for group in groups:
        start = offset
        slots = []
        for field in sorted(group, key=lambda f: _FIRST.get(f.dtype, 3)):
            slot = Slot(
                field.name, offset, (num_envs, *field.shape), field.numpy_dtype, field.is_float
            )
            slots.append(slot)
            offset += -(-slot.nbytes // ALIGNMENT) * ALIGNMENT
        if offset > MAX_BODY:
            raise ContractError(
                f"a frame of {num_envs} environments needs {offset} bytes; at most {MAX_BODY}"
            )
        blocks.append(Block(tuple(slots), start, offset))
    return Layout(tuple(blocks), offset)
