"""From fields to tensors and back, without allocating.

::

    observation, state --gather--> input tensors --normalise--> the model
    the model --> output tensors --clip--> last action --scale, offset--> action, next state

Buffers grow by doubling and are shared by all batch sizes: the first n rows of one block. For
each size met, the views are built once (`Rows`) and kept, so that a step only assigns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import InferenceError
from .base import Array, ArrayMap
from .reading import Numbers
from .wiring import Sink, Slot, Tensor, Wiring

__all__ = ["Buffers", "Rows"]

Step = tuple[Callable[..., Any], Array, Array]
"""A ufunc, the array it changes in place, and its second argument."""

Kept = tuple[str, Any, Array]
"""A name in the next state, where in its array, and what is kept there."""

Source = tuple[str, Array, tuple[int, ...]]
"""A name in the observation or state, the view it is copied into, and that view's shape."""

Target = tuple[str, Array, tuple[int, ...], Step | None]
"""An action field, where its numbers are, its shape, and the step that is done on the way out."""

Run = Callable[[ArrayMap], None]
"""Runs the model on one `Rows`; takes the observation, for inputs read where they lie."""

MAX_SIZES = 64
"""Batch sizes whose views are kept; beyond it the oldest is forgotten."""

SPREAD_ELEMENTS = 1 << 14
"""Constants up to this size are repeated for every row, which halves the time of small batches;
for large ones the memory they would read costs more than numpy's broadcasting."""


class Rows:
    """The first n rows of every buffer, and the copies a step makes.

    Attributes:
        inputs: arrays (n, ...) the model reads, by tensor.
        outputs: arrays (n, ...) it writes, by tensor.
        run: set by whoever owns the model.
    """

    __slots__ = (
        "_actions",
        "_adjust",
        "_clip",
        "_gather",
        "_keep",
        "_normalise",
        "_recall",
        "inputs",
        "outputs",
        "run",
    )

    run: Run

    def __init__(
        self, wiring: Wiring, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._gather = [_source(s, inputs[s.tensor]) for s in wiring.slots if not s.remembered]
        self._recall = [_source(s, inputs[s.tensor]) for s in wiring.slots if s.remembered]
        self._normalise: list[Step] = []
        for tensor, by in wiring.normalise.items():
            array = inputs[tensor]
            self._normalise += _step(np.subtract, array, by.mean, neutral=0.0)
            self._normalise += _step(np.divide, array, by.std, neutral=1.0)
            if by.clip is not None:
                self._normalise += _step(np.maximum, array, -by.clip)
                self._normalise += _step(np.minimum, array, by.clip)
        self._clip: list[Step] = []
        self._adjust: list[Step] = []
        self._actions: list[Target] = []
        for sink in wiring.sinks:
            array = outputs[sink.map.tensor].reshape(-1, *sink.field.shape)
            if sink.map.clip is not None:
                self._clip += _step(np.maximum, array, sink.map.clip[0])
                self._clip += _step(np.minimum, array, sink.map.clip[1])
            adjust = [
                *_step(np.multiply, array, sink.map.scale, neutral=1.0),
                *_step(np.add, array, sink.map.offset, neutral=0.0),
            ]
            last = adjust.pop() if adjust else None
            self._adjust += adjust
            self._actions.append((sink.field.name, array, array.shape, last))
        self._keep: list[Kept] = [(name, ..., outputs[t]) for name, t in wiring.memory.items()]
        self._keep += _last_action(wiring.last_action, wiring.sinks, outputs)

    def step(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Gather, run the model, scatter; see `Policy.infer`."""
        self.load(observation, state)
        self.run(observation)
        self.store(action, next_state)

    def load(self, observation: ArrayMap, state: ArrayMap) -> None:
        """Fill the input tensors.

        Raises:
            InferenceError: an array is missing or of another shape.
        """
        for name, view, shape in self._gather:
            array = observation[name]
            if array.shape != shape:
                raise _misfit("observation", name, view, array)
            view[...] = array
        for name, view, shape in self._recall:
            array = state[name]
            if array.shape != shape:
                raise _misfit("state", name, view, array)
            view[...] = array
        for function, array, constant in self._normalise:
            function(array, constant, out=array)

    def store(self, action: ArrayMap, next_state: ArrayMap) -> None:
        """Turn the output tensors into actions, and keep the state. Once per `run`.

        Raises:
            InferenceError: an array is missing or of another shape.
        """
        for function, array, constant in self._clip:
            function(array, constant, out=array)
        for name, index, array in self._keep:
            out = next_state[name]
            if len(out) != len(array):
                raise _misfit("next_state", name, array, out)
            out[index] = array
        for function, array, constant in self._adjust:
            function(array, constant, out=array)
        for name, array, shape, last in self._actions:
            out = action[name]
            if out.shape != shape:
                raise _misfit("action", name, array, out)
            if last is None:
                out[...] = array
            else:
                last[0](array, last[2], out=out)


class Buffers:
    """The memory behind all `Rows` of one model.

    Args:
        wiring: what is copied where.
        bind: prepares the model for new rows and returns what runs it on them.
    """

    def __init__(self, wiring: Wiring, bind: Callable[[Rows], Run]) -> None:
        self._wiring = wiring
        self._bind = bind
        self._inputs: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}
        self._capacity = 0
        self._rows: dict[int, Rows] = {}

    def rows(self, count: int) -> Rows:
        """The rows of a batch of `count`, at least 1; built when the size is first met."""
        rows = self._rows.get(count)
        return self._build(count) if rows is None else rows

    def clear(self) -> None:
        """Give the memory back."""
        self._rows.clear()
        self._inputs, self._outputs, self._capacity = {}, {}, 0

    def _build(self, count: int) -> Rows:
        if count > self._capacity:
            self._rows.clear()
            self._capacity = 1 << (count - 1).bit_length()
            self._inputs = _allocate(self._wiring.inputs, self._capacity)
            self._outputs = _allocate(self._wiring.outputs, self._capacity)
        if len(self._rows) >= MAX_SIZES:
            del self._rows[next(iter(self._rows))]
        rows = Rows(
            self._wiring,
            {name: array[:count] for name, array in self._inputs.items()},
            {name: array[:count] for name, array in self._outputs.items()},
        )
        rows.run = self._bind(rows)
        self._rows[count] = rows
        return rows


def _allocate(tensors: Mapping[str, Tensor], capacity: int) -> dict[str, Array]:
    return {name: np.zeros((capacity, *t.sizes), t.dtype) for name, t in tensors.items()}


def _source(slot: Slot, buffer: Array) -> Source:
    """The part of an input tensor that takes arrays (n, *shape) of the slot's source."""
    view = buffer
    if buffer.shape[1:] != slot.shape:
        # Splitting the last axis of a slice never copies, so what is assigned reaches the buffer.
        view = buffer[:, slot.start : slot.stop].reshape(len(buffer), *slot.shape)
    return slot.name, view, view.shape


def _step(
    function: Callable[..., Any], array: Array, value: Numbers, *, neutral: float | None = None
) -> Iterable[Step]:
    """One change in place, or none if it would change nothing."""
    numbers = value if isinstance(value, tuple) else (value,)
    if all(number == neutral for number in numbers):
        return ()
    constant = np.array(numbers, array.dtype)
    if array.size <= SPREAD_ELEMENTS:
        constant = np.broadcast_to(constant, array.shape).copy()
    return ((function, array, constant),)


def _last_action(name: str, sinks: Iterable[Sink], outputs: Mapping[str, Array]) -> list[Kept]:
    if not name:
        return []
    kept: list[Kept] = []
    start = 0
    for sink in sinks:
        stop = start + math.prod(sink.field.shape)
        array = outputs[sink.map.tensor]
        kept.append((name, (slice(None), slice(start, stop)), array.reshape(len(array), -1)))
        start = stop
    return kept


def _misfit(what: str, name: str, expected: Array, came: Array) -> InferenceError:
    return InferenceError(
        f"{what} {name!r} must be {expected.shape} (rows, then the field's shape), got {came.shape}"
    )
