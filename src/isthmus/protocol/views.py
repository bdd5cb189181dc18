"""Arrays over a frame's body, and whether what they hold is finite."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RemoteProtocolError
from .header import HEADER_SIZE
from .layout import Layout
from .messages import Arrays

__all__ = ["FrameViews", "all_finite"]

_SMALL = 128
"""Numbers up to which Python's own sum is faster than a call into numpy."""
_QUIET = partial(np.errstate, all="ignore")


class FrameViews:
    """Arrays over one piece of memory, rebuilt only when the memory is another one.

    Attributes:
        layout: where they lie.
        memory: what they lie in: a whole frame, the header in front.
        blocks: for each block of the layout, array by field name.
        used: how many blocks the last frame had.
        booleans: True if there are arrays of bool.
    """

    def __init__(self, layout: Layout) -> None:
        """Know the layout; there is no memory yet."""
        self.layout = layout
        self.memory: memoryview | None = None
        self.blocks: list[dict[str, NDArray[Any]]] = []
        self._regions: list[list[NDArray[Any]]] = []
        self.used = 1
        self.booleans = any(s.dtype == np.bool_ for block in layout.blocks for s in block.slots)

    def over(self, memory: memoryview) -> FrameViews:
        """These views, over `memory`."""
        if memory is not self.memory:
            body = memory[HEADER_SIZE : HEADER_SIZE + self.layout.size]
            self.blocks = [block.views(body) for block in self.layout.blocks]
            self._regions = [block.float_regions(body) for block in self.layout.blocks]
            self.memory = memory
        return self

    def finite(self) -> bool:
        """True if every float of the blocks last written or read is finite.

        An alarm may come from large numbers whose sum overflows, or from what lies between two
        arrays: it is confirmed array by array.
        """
        if self.used == 1 and not _suspicious(self._regions[0]):
            return True  # the usual frame, by the shortest way
        for block, regions in zip(self.blocks[: self.used], self._regions, strict=False):
            if _suspicious(regions) and not all(_finite(array) for array in block.values()):
                return False
        return True

    def check_booleans(self, used: int) -> None:
        """Refuse a byte that is neither 0 nor 1: numpy takes it now for one, now for the other.

        Raises:
            RemoteProtocolError: there is such a byte.
        """
        for block in self.blocks[:used]:
            for name, array in block.items():
                if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
                    raise RemoteProtocolError(f"field {name!r}: a byte of a bool is not 0 or 1")

    def fill(self, block: int, arrays: Arrays) -> None:
        """Copy arrays of the same shapes into a block."""
        for name, view in self.blocks[block].items():
            view[...] = arrays[name]

    def drop(self) -> None:
        """Let the memory go."""
        self.memory = None
        self.blocks = []
        self._regions = []


def all_finite(regions: list[NDArray[Any]]) -> bool:
    """True if every number of the flat float arrays is finite."""
    return not _suspicious(regions) or all(_finite(region) for region in regions)


def _suspicious(regions: list[NDArray[Any]]) -> bool:
    """False if every number of the flat float arrays is finite, else probably True.

    A sum, or for large arrays a dot product, finds NaN and infinity in one pass without a
    temporary; large finite numbers overflow it too.
    """
    for region in regions:
        if region.size <= _SMALL:
            total = sum(region.tolist())
        else:
            with _QUIET():
                total = float(region.dot(region))
        if total - total != 0.0:
            return True
    return False


def _finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
