"""An episode's start reaches the policy, for every environment that was named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.errors import ContractError, LocalProtocolError

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.policies import Summing

ONES = np.ones((3, 2), np.float32)
WAYS: dict[str, dict[str, Any]] = {
    "shm": {},
    "tcp": {"upgrade": False},
    "json": {"codec": "json"},
}


def sums(link: Any) -> list[float]:
    action = link.act(q=ONES)
    assert action.status == "policy", action.cause
    return [float(row[0]) for row in action["speed"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_recurrent_policy_forgets(way: str, pacing: str, executor: str) -> None:
    from isthmus.gateway import Settings

    with serving(Summing(pair()), settings=Settings(executor=executor)) as served:
        with served.connect(num_envs=3, pacing=pacing, **WAYS[way]) as link:
            assert sums(link) == [1, 1, 1]
            assert sums(link) == [2, 2, 2]
            link.reset(mask=np.array([True, False, False]))
            assert sums(link) == [1, 3, 3]
            link.reset()
            assert sums(link) == [1, 1, 1]
            link.reset(seed=7)
            assert sums(link) == [1, 1, 1]
            assert sums(link) == [2, 2, 2]


def test_resets_before_one_step_add_up() -> None:
    with serving(Summing(pair())) as served, served.connect(num_envs=3) as link:
        sums(link)
        sums(link)
        link.reset(mask=np.array([True, False, False]))
        link.reset(mask=np.array([False, True, False]), seed=3)
        assert sums(link) == [1, 1, 3]
        link.reset()
        link.reset(mask=np.array([False, False, True]))
        assert sums(link) == [1, 1, 1]


def test_sessions_remember_apart() -> None:
    with serving(Summing(pair())) as served:
        with served.connect(num_envs=3) as one, served.connect(num_envs=3) as other:
            assert sums(one) == [1, 1, 1]
            assert sums(one) == [2, 2, 2]
            assert sums(other) == [1, 1, 1]


def test_what_a_failed_step_wrote_is_not_remembered() -> None:
    with serving(Summing(pair())) as served:
        for url in (served.unix,):
            with served.connect(url=url) as link:
                assert link.act(q=[1, 1])["speed"].tolist() == [1, 1]
                assert link.act(q=[101, 1]).cause == "inference_failed"
                assert link.act(q=[1, 1])["speed"].tolist() == [2, 2]


BAD_MASKS = {
    "too short": np.array([True]),
    "whole numbers": np.array([1, 0, 0]),
    "a matrix": np.ones((3, 1), bool),
}


@pytest.mark.parametrize("name", BAD_MASKS)
def test_a_mask_that_does_not_fit(served: Served, name: str) -> None:
    with served.connect(num_envs=3) as link:
        with pytest.raises(ContractError, match=r"expected bool \(3,\)"):
            link.reset(mask=BAD_MASKS[name])
        assert link.act(q=ONES).status == "policy"


def test_a_closed_link_cannot_begin_an_episode(served: Served) -> None:
    link = served.connect()
    link.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        link.reset()
