from __future__ import annotations

import pytest

from isthmus.telemetry import Ema
from isthmus.telemetry.ema import ALPHA


def test_it_begins_with_the_first_sample() -> None:
    average = Ema()
    assert (average.alpha, average.value, average.count) == (ALPHA, 0.0, 0)
    average.add(50.0)
    assert average.value == 50.0


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 1.0])
def test_each_sample_weighs_alpha(alpha: float) -> None:
    average, expected = Ema(alpha), 3.0
    average.add(3.0)
    for value in (10.0, -4.0, 0.0, 1e9):
        expected = alpha * value + (1 - alpha) * expected
        average.add(value)
        assert average.value == pytest.approx(expected)
    assert average.count == 5


def test_a_change_is_in_it_as_its_words_say() -> None:
    average = Ema(0.1)
    average.add_many([0.0] + [1.0] * 10)
    assert average.value == pytest.approx(0.65, abs=0.02)
    average.add_many([1.0] * 20)
    assert average.value == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1, float("nan")])
def test_what_alpha_cannot_be(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be"):
        Ema(alpha)
