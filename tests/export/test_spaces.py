"""Spaces and statistics, from the pickles that their makers write."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export.normalise import read_vecnormalize
from isthmus.export.spaces import (
    SPACE_NAMES,
    Box,
    Discrete,
    MultiBinary,
    MultiDiscrete,
    space_of,
)
from isthmus.export.unpickle import Made, Name, read

from .conftest import FIXTURES

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces


def read_back(space: Any, protocol: int = 5) -> Any:
    return space_of(read(pickle.dumps(space, protocol), "p", SPACE_NAMES.__contains__))


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_box_with_and_without_its_generator(protocol: int) -> None:
    space = spaces.Box(np.float32([-1, -np.inf]), np.float32([2, np.inf]), dtype=np.float32)
    for _ in range(2):
        found = read_back(space, protocol)
        assert isinstance(found, Box) and found.dtype == np.float32 and found.width == 2
        np.testing.assert_array_equal(found.low, space.low)
        np.testing.assert_array_equal(found.high, space.high)
        space.seed(1)


def test_what_older_versions_wrote() -> None:
    """Gym's name for Gymnasium, and numpy's old one for its core."""
    space = spaces.Box(-1.0, 2.0, (3,), np.float32)
    data = pickle.dumps(space, 3)
    assert b"cgymnasium.spaces" in data
    old = data.replace(b"cgymnasium.", b"cgym.").replace(b"cnumpy._core.", b"cnumpy.core.")
    found = space_of(read(old, "p", SPACE_NAMES.__contains__))
    assert isinstance(found, Box)
    np.testing.assert_array_equal(found.high, space.high)


def test_the_discrete_ones() -> None:
    assert read_back(spaces.Discrete(4)) == Discrete(4)
    found = read_back(spaces.MultiDiscrete([2, 3]))
    assert isinstance(found, MultiDiscrete) and list(found.nvec) == [2, 3]
    assert read_back(spaces.MultiBinary(5)) == MultiBinary((5,))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Discrete(4, start=1), "count from 0"),
        (spaces.MultiDiscrete([[2, 3]]), "one row"),
        (spaces.MultiDiscrete([2, 3], start=[1, 0]), "one row"),
        (spaces.MultiBinary([2, 2]), "one row"),
        (spaces.Dict({"a": spaces.Discrete(2)}), "a Dict space is not exported"),
        (spaces.Tuple([spaces.Discrete(2)]), "a Tuple space is not exported"),
    ],
)
def test_what_has_no_row_of_numbers_is_refused(space: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_back(space)


@pytest.mark.parametrize(
    "made",
    [
        7,
        Made(Name("os", "system"), ()),
        Made(Name("gymnasium.spaces.box", "Box"), ()),
        Made(Name("gymnasium.spaces.box", "Box"), (), state={"low": 1.0, "high": 2.0}),
        Made(Name("gymnasium.spaces.box", "Box"), (), state={"low": 1, "high": 2, "dtype": "O"}),
        Made(Name("gymnasium.spaces.box", "Box"), (), state={"low": 1, "high": "x", "dtype": "f4"}),
    ],
)
def test_what_is_no_space_is_refused(made: Any) -> None:
    with pytest.raises(ValueError):
        space_of(made)


def test_an_image_is_known() -> None:
    assert read_back(spaces.Box(0, 255, (3, 8, 8), np.uint8)).is_image
    assert not read_back(spaces.Box(0, 255, (8,), np.uint8)).is_image


STATISTICS = (FIXTURES / "ppo_relu.vecnormalize.pkl").read_bytes()


def test_statistics_are_what_vecnormalize_divides_by() -> None:
    found = read_vecnormalize(STATISTICS, "s")
    assert found is not None
    assert found.mean.shape == found.std.shape == (5,)
    # The observations of the fixture come from a normal distribution about 3, 2 wide.
    np.testing.assert_allclose(found.mean, 3.0, atol=1.5)
    np.testing.assert_allclose(found.std, 2.0, atol=1.0)
    assert found.clip == 2.0


def changed(old: bytes, new: bytes) -> bytes:
    assert STATISTICS.count(old) >= 1
    return STATISTICS.replace(old, new)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02}.", "no VecNormalize"),
        (changed(b"clip_obs", b"clip_xxx"), "clip_obs"),
        (changed(b"\x8c\x08norm_obs\x94\x88", b"\x8c\x08norm_xxx\x94\x88"), "norm_obs"),
        (changed(b"\x8c\x03var", b"\x8c\x03vax"), "'var'"),
        (changed(b"RunningMeanStd", b"RunningMeanXxx"), "names 'stable_baselines3"),
        (changed(b"VecNormalize", b"VecNormalizx"), "names 'stable_baselines3"),
        (STATISTICS[:-20], "expected 20 bytes"),
    ],
)
def test_what_is_no_statistics_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(PolicyLoadError, match=message):
        read_vecnormalize(data, "s")


def test_statistics_of_rewards_alone_change_nothing() -> None:
    off = changed(b"\x8c\x08norm_obs\x94\x88", b"\x8c\x08norm_obs\x94\x89")
    assert read_vecnormalize(off, "s") is None
