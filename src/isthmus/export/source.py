"""What an export starts from, whatever file it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graph import INPUT, OUTPUT, build
from .network import Choose, Network, Normalise, difference
from .spaces import Box, Space

__all__ = ["Source", "source_of"]

Array = NDArray[Any]

SPREAD = 1.5
"""Of made-up observations, where nothing says how wide they are."""


@dataclass(frozen=True, eq=False)
class Source:
    """A policy that was read, and what it says of itself.

    Attributes:
        inputs: numbers of an observation's row.
        outputs: numbers of an action's row.
        scalar: its answer is one class, without an axis of its own.
        observation: its observation space.
        action: its action space.
        centre: float64 (inputs,), about where its observations lie.
        spread: float64 (inputs,), about how wide.
        difference: how far answers (n, outputs) to observations (n, inputs) are from its own, at
            most.
        onnx: the model; takes the width of each output where there are several.
        facts: of its origin, for the manifest.
        assumed: what its file does not say, in words.
        input: the model's input tensor.
        output: its output tensor, where there is one.
        doubt: why an export may differ from it, for people.
    """

    inputs: int
    outputs: int
    scalar: bool
    observation: Box
    action: Space
    centre: Array
    spread: Array
    difference: Callable[[Array, Array], float]
    onnx: Callable[[Sequence[int]], bytes]
    facts: Mapping[str, Any]
    assumed: tuple[str, ...] = ()
    input: str = INPUT
    output: str = OUTPUT
    doubt: str = "Numbers this large lose digits in float32; --tolerance accepts more"


def source_of(
    network: Network, observation: Box, action: Space, facts: Mapping[str, Any]
) -> Source:
    """A network that was rebuilt, as the start of an export."""
    first, last = network.steps[0], network.steps[-1]
    scaled = isinstance(first, Normalise)
    return Source(
        inputs=network.inputs,
        outputs=network.outputs,
        scalar=isinstance(last, Choose) and last.scalar,
        observation=observation,
        action=action,
        centre=first.mean if isinstance(first, Normalise) else np.zeros(network.inputs),
        spread=SPREAD * (first.std if isinstance(first, Normalise) else np.ones(network.inputs)),
        difference=partial(difference, network),
        onnx=partial(build, network),
        facts={**facts, "normalised": scaled},
    )
