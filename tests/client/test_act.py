"""One step: what goes in, what comes out, on every transport."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import isthmus
from isthmus import Limits
from isthmus.client.action import STAGES, Action, Timing

from ..support.contracts import DTYPES, mirror, pair
from ..support.gateways import Served, serving
from ..support.policies import half, mirrored, policy

WAYS = {
    "shm": {"url": "shm"},
    "unix": {"upgrade": False},
    "tcp": {"url": "tcp", "upgrade": False},
    "tcp to shm": {"url": "tcp"},
    "unix json": {"codec": "json"},
    "tcp json": {"url": "tcp", "codec": "json"},
}


def connect(served: Served, way: str, **options: object) -> isthmus.Link:
    chosen = dict(WAYS[way])
    url = str(chosen.pop("url", "unix"))
    found = served.tcp if url == "tcp" else served.unix.replace("unix", url)
    return served.connect(url=found, **chosen, **options)


@pytest.mark.parametrize("way", WAYS)
def test_a_single_environment(served: Served, way: str) -> None:
    with connect(served, way) as link:
        first = link.act(q=[0.5, -0.25])
        action = link.act(q=np.array([0.25, 1.0], np.float32), sim_time=0.02)
        assert first.status == action.status == "policy"
        assert first["speed"].tolist() == [0.25, -0.125]
        assert action["speed"].tolist() == [0.125, 0.5]
        assert action["speed"].dtype == np.float32
        assert (first.seq, action.seq) == (1, 2)
        assert not first.cause
        assert link.transport == ("shm" if "shm" in way else way.split()[0])
        assert bool(link.transport_note) == (link.transport != "shm")
        assert link.stats()["steps"] == 2
        assert link.stats()["misses"] == 0
        assert link.stats()["latency_us"]["total"]["count"] == 2
        assert sum(action.timing[:-1]) <= action.timing.total
        assert len(action.timing) == len(STAGES)


def test_a_field_that_an_action_has_not_is_a_key_error_that_names_the_nearest() -> None:
    action = Action({"delta": np.zeros(1)}, "policy", "", Timing(), 1, 0, 0, False, "")
    for name, meant in (("dleta", "did you mean 'delta'?"), ("x", "it has 'delta'"), (7, "it has")):
        with pytest.raises(KeyError) as caught:
            action[name]  # type: ignore[index]
        assert f"the action has no field {name!r}; {meant}" in str(caught.value)
    assert "dleta" not in action and action.get("dleta") is None
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)


@pytest.mark.parametrize("num_envs", [None, 1, 7, 300])
@pytest.mark.parametrize("way", WAYS)
def test_the_leading_axis(served: Served, way: str, num_envs: int | None) -> None:
    lead = () if num_envs is None else (num_envs,)
    q = np.arange(2 * (num_envs or 1), dtype=np.float32).reshape(*lead, 2)
    with connect(served, way, num_envs=num_envs) as link:
        action = link.act(q=q)
        assert action.status == "policy"
        assert action["speed"].shape == (*lead, 2)
        assert np.array_equal(action["speed"], q / 2)


@pytest.mark.parametrize("num_envs", [None, 5])
@pytest.mark.parametrize("way", WAYS)
def test_every_dtype_is_bit_exact(way: str, num_envs: int | None) -> None:
    rng = np.random.default_rng(7)
    lead = () if num_envs is None else (num_envs,)
    sent = {}
    for dtype in DTYPES:
        kind = np.dtype(dtype)
        if kind.kind == "f":
            array = rng.standard_normal((*lead, 2, 3)).astype(kind)
        elif kind.kind == "b":
            array = rng.random((*lead, 2, 3)) < 0.5
        else:
            info = np.iinfo(kind)
            array = rng.integers(info.min, info.max, (*lead, 2, 3), kind, endpoint=True)
        sent["in_" + dtype] = array
    with (
        serving(policy(mirrored, mirror())) as served,
        connect(served, way, num_envs=num_envs) as link,
    ):
        action = link.act(sent)
        assert action.status == "policy"
        for dtype in DTYPES:
            came = action["out_" + dtype]
            assert came.dtype == np.dtype(dtype)
            assert came.tobytes() == sent["in_" + dtype].tobytes(), dtype


def test_limits_hold_and_are_counted() -> None:
    contract = pair(limit=Limits(low=(-0.1, -9.0), high=(0.125, 9.0)))
    with serving(policy(half, contract)) as served, served.connect() as link:
        action = link.act(q=[0.3, 1.0])
        assert action.status == "policy"
        assert action["speed"].tolist() == [0.125, 0.5]
        assert action.clipped == 1


def test_both_sides_limits_apply() -> None:
    theirs = pair(limit=Limits(low=(-0.25, -0.25), high=(0.25, 0.125)))
    ours = pair(limit=Limits(low=(-0.125, -0.5), high=(0.125, 0.5)))
    with serving(policy(half, theirs)) as served, served.connect(contract=ours) as link:
        assert link.contract.limits["speed"].high == (0.125, 0.125)
        assert link.act(q=[0.3, 0.3])["speed"].tolist() == [0.125] * 2


def test_the_arrays_belong_to_the_caller(served: Served) -> None:
    with served.connect(num_envs=2) as link:
        first = link.act(q=[[1, 2], [3, 4]])
        kept = first["speed"].copy()
        first["speed"][...] = 99
        second = link.act(q=[[1, 2], [3, 4]])
        assert np.array_equal(second["speed"], kept)
        assert (first["speed"] == 99).all()


def test_the_randomization_hash_comes_back(served: Served) -> None:
    with served.connect() as link:
        assert link.act(q=[0, 0], rand_hash="ab" * 32).rand_hash == "ab" * 32
        assert link.act(q=[0, 0]).rand_hash == ""


def test_an_action_reads_like_a_mapping(served: Served) -> None:
    with served.connect() as link:
        action = link.act({"q": [1.0, 2.0]})
        assert dict(action).keys() == {"speed"} == set(action)
        assert len(action) == 1
        assert "policy" in repr(action)
        assert "(2,)" in repr(action)


def test_facts_of_the_other_side(served: Served) -> None:
    with served.connect() as link:
        assert link.policy["name"] == "policy"
        assert link.policy["kind"] == "callable"
        assert link.gateway["numpy"] == np.__version__
        assert link.interface_hash == pair().interface_hash
