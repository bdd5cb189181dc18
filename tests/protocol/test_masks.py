"""Which environments start anew, from one to as many as a link may have."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from isthmus.errors import RemoteProtocolError
from isthmus.protocol.bounds import MAX_NUM_ENVS, MAX_TAIL
from isthmus.protocol.masks import mask_from_content, mask_to_content
from isthmus.protocol.messages import Observation, Reset

from .peers import CODECS, bound, decoded, encoded, some

both = pytest.mark.parametrize("kind", list(CODECS))


def mask_of(rows: int) -> list[bool]:
    found: list[bool] = (np.random.default_rng(rows).random(rows) < 0.5).tolist()
    return found


@both
@pytest.mark.parametrize("rows", [1, 1024, 1025, 1031, 1032, 20_000])
def test_a_mask_comes_over_with_an_observation(kind: str, rows: int) -> None:
    asker, answerer = (bound(kind, num_envs=rows, asks=asks) for asks in (True, False))
    reset = {"mask": mask_of(rows), "seed": 7}
    kept = {**reset, "mask": list(reset["mask"])}  # type: ignore[call-overload]
    data = encoded(asker, Observation(some(num_envs=rows), reset=reset))
    message = decoded(answerer, data)
    assert isinstance(message, Observation)
    assert message.reset == reset == kept


@both
@pytest.mark.parametrize("reset", [{}, {"mask": None}, {"seed": 3}, {"mask": None, "seed": None}])
def test_a_reset_of_all_is_as_it_was(kind: str, reset: dict[str, Any]) -> None:
    asker, answerer = (bound(kind, asks=asks) for asks in (True, False))
    message = decoded(answerer, encoded(asker, Observation(some(), reset=reset)))
    assert isinstance(message, Observation)
    assert message.reset == reset


@both
@pytest.mark.parametrize("rows", [3, 5000, 200_000])
def test_a_mask_comes_over_with_a_reset(kind: str, rows: int) -> None:
    asker, answerer = (bound(kind, num_envs=rows, asks=asks) for asks in (True, False))
    message = decoded(asker, encoded(answerer, Reset(mask=mask_of(rows))))
    assert isinstance(message, Reset)
    assert message.mask == mask_of(rows)


def test_the_largest_mask_fits_beside_a_frame() -> None:
    content = mask_to_content([True] * MAX_NUM_ENVS)
    assert len(json.dumps(content)) < MAX_TAIL // 4
    assert mask_from_content(content) == [True] * MAX_NUM_ENVS


def test_a_long_list_is_read_too() -> None:
    mask = mask_of(5000)
    assert mask_from_content(mask) is mask


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "expected a list, or"),
        ({"rows": 8}, "expected a list, or"),
        ({"rows": 8, "bits": "AA==", "more": 1}, "expected a list, or"),
        ({"rows": True, "bits": "AA=="}, "expected a list, or"),
        ({"rows": 8.0, "bits": "AA=="}, "expected a list, or"),
        ({"rows": 8, "bits": [0]}, "expected a list, or"),
        ({"rows": 0, "bits": ""}, "rows"),
        ({"rows": -1, "bits": ""}, "rows"),
        ({"rows": MAX_NUM_ENVS + 1, "bits": ""}, "rows"),
        ({"rows": 1 << 80, "bits": ""}, "rows"),
        ({"rows": 9, "bits": "AA=="}, "1 bytes of bits came for 9 rows"),
        ({"rows": 8, "bits": "AAA="}, "2 bytes of bits came for 8 rows"),
        ({"rows": 8, "bits": "A"}, "no base64"),
        ({"rows": 8, "bits": "\u00e9"}, "no base64"),
    ],
)
def test_a_damaged_bitmap_is_refused(value: Any, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        mask_from_content(value)
