from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.contract import Limits
from isthmus.contract.fields import SEMANTICS
from isthmus.contract.limits import MEANINGS
from isthmus.errors import ContractError


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"low": (1.0,), "high": (0.5,)}, r"low > high at entry 0: 1.0 > 0.5"),
        ({"low": (0.0, 2.0), "high": (1.0, 1.0)}, "entry 1"),
        ({"low": (0.0,), "high": (1.0, 1.0)}, "different lengths"),
        ({"max_rate": (0.0,)}, "greater than 0"),
        ({"max_rate": (-1.0,)}, "greater than 0"),
        ({"max_acceleration": (0.0,)}, "greater than 0"),
        ({"low": (float("nan"),)}, "finite"),
        ({"high": (float("inf"),)}, "leave it out if unbounded"),
        ({"high": (10**400,)}, "finite"),
        ({"high": (10**5000,)}, "finite"),
        ({"high": (True,)}, "must hold numbers"),
        ({"high": ("1",)}, "must hold numbers"),
        ({"high": (None,)}, "must hold numbers"),
        ({"high": ((1.0,),)}, "must hold numbers"),
        ({"high": ()}, "is empty"),
        ({"high": 1.0}, "list of numbers"),
        ({"high": "1"}, "list of numbers"),
        ({"high": {"a": 1.0}}, "list of numbers"),
        ({"high": np.ones(2)}, "list of numbers"),
    ],
)
def test_what_is_no_limit_is_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        Limits(**parts)


def test_low_may_equal_high() -> None:
    assert Limits(low=(1.0,), high=(1.0,)).size == 1


def test_numbers_become_floats() -> None:
    limits = Limits(low=[np.float32(-0.5), -0.0], high=[1, np.int64(2)])
    assert limits == Limits(low=(-0.5, 0.0), high=(1.0, 2.0))
    assert str(limits.low) == "(-0.5, 0.0)"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "expected an object"),
        ({"lowest": [1]}, "unknown keys 'lowest'; known keys: low, high"),
        ({"low": None}, "leave it out"),
        ({3: [1]}, "unknown keys 3"),
    ],
)
def test_what_is_no_json_form_is_refused(data: Any, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        Limits.from_dict(data)


number = st.floats(-10, 10)
rate = st.floats(0.1, 10)


@st.composite
def some_limits(draw: st.DrawFn) -> Limits:
    low, high = sorted(draw(st.tuples(number, number)))
    return Limits(
        low=draw(st.none() | st.just((low,))),
        high=draw(st.none() | st.just((high,))),
        max_rate=draw(st.none() | st.tuples(rate)),
        max_acceleration=draw(st.none() | st.tuples(rate)),
    )


@given(ours=some_limits(), theirs=some_limits(), value=number, speed=rate)
def test_the_tighter_wins(ours: Limits, theirs: Limits, value: float, speed: float) -> None:
    """A value is allowed by both together exactly if each allows it."""

    def allows(limits: Limits) -> bool:
        low, high = limits.low or (-np.inf,), limits.high or (np.inf,)
        return low[0] <= value <= high[0]

    def slow_enough(limits: Limits) -> bool:
        return speed <= (limits.max_rate or (np.inf,))[0]

    try:
        both = ours.tighter(theirs)
    except ContractError:
        assert not (allows(ours) and allows(theirs))
        return
    assert both == theirs.tighter(ours)
    assert allows(both) == (allows(ours) and allows(theirs))
    assert slow_enough(both) == (slow_enough(ours) and slow_enough(theirs))
    assert Limits.from_dict(both.to_dict()) == both


def test_limits_of_different_lengths_cannot_be_combined() -> None:
    with pytest.raises(ContractError, match="limits for 1 entries meet limits for 2"):
        Limits(low=(1.0,)).tighter(Limits(low=(1.0, 2.0)))


def test_every_semantics_says_what_its_limits_bound() -> None:
    assert list(MEANINGS) == list(SEMANTICS)
