"""The randomization in force: its hash at every step, its values once, and what disagrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import ContractError, ObservationError
from isthmus.protocol.messages import Message, Observation
from isthmus.provenance import MAX_SENT_VALUES, randomization_hash

from ..support.contracts import pair
from ..support.gateways import Served
from ..support.peers import FakeGateway

MASS = {"mass": [1.0, 2.0], "friction": 0.5}
HEAVY = {"mass": [1.0, 2.5], "friction": 0.5}
A, B = randomization_hash(MASS), randomization_hash(HEAVY)
WAYS: dict[str, dict[str, Any]] = {
    "shm": {},
    "unix": {"upgrade": False},
    "json": {"codec": "json", "upgrade": False},
}


@pytest.fixture
def fake(address: str) -> Iterator[FakeGateway]:
    def reply(asked: Observation) -> list[Message]:
        answer = found.action(0.5, 0.5, rand_hash=asked.rand_hash)
        return [answer._replace(expected_rand_hash=asked.expected_rand_hash)]

    with FakeGateway(address, pair(), reply) as found:
        yield found


def stepped(link: isthmus.Link, **options: Any) -> isthmus.Action:
    action = link.act(q=[1, 1], **options)
    assert action.status == "policy", action.cause
    return action


def test_the_hash_goes_with_every_step_and_the_values_once(fake: FakeGateway, address: str) -> None:
    with isthmus.connect(address, deadline=5.0) as link:
        assert link.rand_hash == ""
        stepped(link)
        link.reset(seed=7, randomization=MASS)
        assert link.rand_hash == A
        assert [stepped(link).rand_hash for _ in range(3)] == [A, A, A]
        link.reset()
        assert (link.rand_hash, stepped(link).rand_hash) == ("", "")
    seen = fake.observations
    assert [each.rand_hash for each in seen] == ["", A, A, A, ""]
    assert {each.expected_rand_hash for each in seen} == {""}
    assert [each.reset for each in seen] == [
        None, {"mask": None, "seed": 7, "randomization": MASS}, None, None, {"mask": None},
    ]  # fmt: skip


@pytest.mark.parametrize("expected", [MASS, HEAVY])
@pytest.mark.parametrize("known_by", ["values", "hash", "both"])
def test_what_was_expected_is_compared(
    fake: FakeGateway, address: str, expected: dict[str, Any], known_by: str
) -> None:
    said: dict[str, Any] = {}
    if known_by != "hash":
        said["expected_randomization"] = expected
    if known_by != "values":
        said["expected_rand_hash"] = randomization_hash(expected)
    with isthmus.connect(address, deadline=5.0) as link:
        link.reset(randomization=MASS, **said)
        flags = [stepped(link).rand_hash_mismatch for _ in range(2)]
    differs = expected is HEAVY
    assert flags == [differs, differs]
    assert {each.expected_rand_hash for each in fake.observations} == {B if differs else A}
    first = fake.observations[0].reset
    assert first is not None
    assert ("expected_randomization" in first) == (differs and known_by != "hash")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
def test_a_gateway_echoes_it(served: Served, way: str, pacing: str) -> None:
    with served.connect(pacing=pacing, **WAYS[way]) as link:
        link.reset(randomization=MASS, expected_randomization=HEAVY)
        action = stepped(link)
        assert (action.rand_hash, action.rand_hash_mismatch) == (A, True)
        link.reset(randomization=MASS, expected_rand_hash=A)
        action = stepped(link)
        assert (action.rand_hash, action.rand_hash_mismatch) == (A, False)


def test_a_hash_named_for_one_step_wins_there(fake: FakeGateway, address: str) -> None:
    with isthmus.connect(address, deadline=5.0) as link:
        link.reset(randomization=MASS, expected_rand_hash=A)
        given: list[str | None] = ["mine", None, ""]
        actions = [stepped(link, rand_hash=text) for text in given]
        assert [action.rand_hash for action in actions] == ["mine", A, ""]
        assert [action.rand_hash_mismatch for action in actions] == [True, False, True]
        with pytest.raises(ObservationError, match="rand_hash: expected printable text"):
            link.act(q=[1, 1], rand_hash="two\nlines")


def test_a_mask_leaves_in_force_what_it_says_nothing_of(served: Served) -> None:
    some = np.array([True, False])
    with served.connect(num_envs=2) as link:
        link.reset(randomization=MASS, expected_rand_hash=B)
        link.reset(mask=some)
        assert (link.rand_hash, link._episode.expected_rand_hash) == (A, B)
        link.reset(mask=some, randomization=HEAVY)
        assert (link.rand_hash, link._episode.expected_rand_hash) == (B, B)
        untold = link._episode.untold
        assert untold == {"mask": None, "randomization": HEAVY}, "all began anew, then some"
        link.reset()
        assert (link.rand_hash, link._episode.expected_rand_hash) == ("", "")
        assert link._episode.untold == {"mask": None}


def test_too_many_values_cross_as_their_hash_alone(fake: FakeGateway, address: str) -> None:
    values = {"heights": np.arange(MAX_SENT_VALUES + 1)}
    with isthmus.connect(address, deadline=5.0) as link:
        link.reset(randomization=values)
        assert stepped(link).rand_hash == randomization_hash(values)
    assert fake.observations[0].reset == {"mask": None}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "not a number": ({"randomization": {"mass": float("nan")}}, "mass"),
    "no mapping": ({"randomization": [1, 2]}, "mapping"),
    "expected, not a number": ({"expected_randomization": {"x": float("inf")}}, "x"),
    "two that differ": ({"expected_randomization": MASS, "expected_rand_hash": B}, "agree"),
    "no text": ({"expected_rand_hash": 3}, "expected_rand_hash"),
    "too long": ({"expected_rand_hash": "x" * 257}, "expected_rand_hash"),
    "a seed": ({"randomization": HEAVY, "seed": -1}, "seed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_changes_nothing(fake: FakeGateway, address: str, name: str) -> None:
    wrong, word = WRONG[name]
    with isthmus.connect(address, deadline=5.0) as link:
        link.reset(randomization=MASS, expected_rand_hash=A)
        stepped(link)
        with pytest.raises(ContractError, match=word):
            link.reset(**wrong)
        assert stepped(link).rand_hash == A
        assert link.level.name == "NORMAL", "no episode has begun"
    assert fake.observations[-1].reset is None


def test_it_goes_on_after_a_reconnect(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with served.connect() as link:
        link.reset(randomization=MASS, expected_rand_hash=B)
        stepped(link)
        assert link._channel is not None
        link._channel.abandon()
        link._channel = None
        action = link.act(q=[1, 1])
        while action.status != "policy":
            assert action.rand_hash_mismatch, "what is known here needs no answer"
            action = link.act(q=[1, 1])
        assert (action.rand_hash, action.rand_hash_mismatch) == (A, True)
