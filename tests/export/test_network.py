"""How far answers are apart, where a number is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.export.network import relative_difference, worse

NAN = math.nan


@pytest.mark.parametrize(
    ("wanted", "answer", "off"),
    [
        ([1.0, 2.0], [1.5, 2.0], 0.5),
        ([1e6], [1e6 + 1], 1e-6),
        ([0.0], [-0.0], 0.0),
        ([NAN, 1.0], [NAN, 1.25], 0.25),
        ([math.inf], [math.inf], 0.0),
        ([NAN], [0.0], NAN),
        ([0.0], [NAN], NAN),
        ([math.inf], [1.0], NAN),
        ([1.0], [math.inf], math.inf),
    ],
)
def test_nan_agrees_with_nan_alone(wanted: list[float], answer: list[float], off: float) -> None:
    found = relative_difference(np.array(wanted), np.array(answer))
    assert found == pytest.approx(off, nan_ok=True)


@pytest.mark.parametrize(("one", "other"), [(NAN, 1.0), (1.0, NAN), (NAN, NAN)])
def test_nan_is_the_worst(one: float, other: float) -> None:
    assert math.isnan(worse(one, other))
    assert worse(1.0, 2.0) == worse(2.0, 1.0) == 2.0
