"""ONNX's form of every step, against numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export.graph import build, check
from isthmus.export.network import (
    ACTIVATIONS,
    Activate,
    Bound,
    Choose,
    Linear,
    Network,
    Normalise,
    Rescale,
    Round,
    Step,
    difference,
    forward,
)

onnxruntime = pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(3)
ROWS = RNG.normal(0, 3, (50, 4)).astype(np.float32)
LAYER = Linear(RNG.normal(size=(4, 6)).astype(np.float32), RNG.normal(size=6).astype(np.float32))


def network(*steps: Step, outputs: int = 6) -> Network:
    return Network(4, outputs, (LAYER, *steps))


def run(net: Network, rows: Any, widths: tuple[int, ...] = ()) -> list[Any]:
    session = onnxruntime.InferenceSession(build(net, widths), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, {"obs": rows})
    return found


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_every_activation(kind: str) -> None:
    net = network(Activate(kind))
    (answer,) = run(net, ROWS)
    assert difference(net, ROWS, answer) < 2e-6
    assert difference(net, ROWS, answer + 0.1) > 1e-3


@pytest.mark.parametrize(
    "step",
    [
        Bound(np.full(6, -1.0), np.array([1.0, 2.0, np.inf, 0.0, 3.0, 4.0])),
        Rescale(np.full(6, -2.0), np.array([1.0, 2.0, 5.0, 0.0, 3.0, 4.0])),
    ],
)
def test_bounds(step: Step) -> None:
    net = network(step)
    (answer,) = run(net, ROWS)
    assert difference(net, ROWS, answer) < 2e-6


def test_normalising_in_double_precision() -> None:
    """Means far from zero with a small deviation: float32 would keep three digits."""
    rows = (1000.0 + 1e-2 * RNG.normal(size=(50, 4))).astype(np.float32)
    scaled = Normalise(np.full(4, 1000.0), np.full(4, 1e-2), 5.0)
    net = Network(4, 6, (scaled, LAYER))
    (answer,) = run(net, rows)
    assert difference(net, rows, answer) < 2e-6
    wanted = np.clip((rows.astype(np.float64) - 1000.0) / 1e-2, -5, 5) @ LAYER.weight + LAYER.bias
    np.testing.assert_allclose(forward(net, rows), wanted)


def test_one_choice_several_choices_and_yes_or_no() -> None:
    one = network(Choose((6,), scalar=True), outputs=1)
    (answer,) = run(one, ROWS)
    assert answer.shape == (50,) and answer.dtype == np.int64
    np.testing.assert_array_equal(answer, forward(one, ROWS))
    several = network(Choose((2, 3, 1)), outputs=3)
    (answer,) = run(several, ROWS)
    assert answer.shape == (50, 3)
    np.testing.assert_array_equal(answer, forward(several, ROWS))
    binary = network(Round())
    (answer,) = run(binary, ROWS)
    assert answer.dtype == np.int8
    np.testing.assert_array_equal(answer, forward(binary, ROWS))


def test_a_wrong_choice_counts_by_what_it_loses() -> None:
    net = network(Choose((6,), scalar=True), outputs=1)
    scores = forward(network(), ROWS)
    worst = scores.argmin(axis=1)
    assert difference(net, ROWS, forward(net, ROWS)) == 0.0
    lost = (scores.max(axis=1) - scores.min(axis=1)).max()
    assert difference(net, ROWS, worst) == pytest.approx(lost)
    binary = network(Round())
    assert difference(binary, ROWS, 1 - forward(binary, ROWS)) == pytest.approx(abs(scores).max())


def test_several_outputs() -> None:
    answers = run(network(), ROWS, (1, 2, 3))
    assert [answer.shape for answer in answers] == [(50, 1), (50, 2), (50, 3)]
    (whole,) = run(network(), ROWS)
    np.testing.assert_array_equal(np.concatenate(answers, axis=1), whole)


def test_a_batch_of_any_size() -> None:
    (all_rows,) = run(network(Activate("tanh")), ROWS)
    for count in (1, 2, 7):
        (some,) = run(network(Activate("tanh")), ROWS[:count])
        np.testing.assert_allclose(some, all_rows[:count], rtol=1e-6, atol=1e-7)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(PolicyLoadError, match="x is no ONNX model"):
        check(b"\xff\xff", "x")
    with pytest.raises(PolicyLoadError, match="x is no valid ONNX model"):
        check(b"", "x")
