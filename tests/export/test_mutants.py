"""Archives whose pickles were changed at random: each is a policy, or an error of ours."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from isthmus.errors import Error
from isthmus.export.reading import Reading, read_source

from .canaries import archive, members_of
from .conftest import FIXTURES

OPCODES = b"(.0123FIJKMLNPQRSTUVX]abcdehijloprqstu}\x80\x81\x82\x85\x86\x87\x8a\x8c\x93\x94\x96C)GB"
MUTANTS = 150


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change, remove, put in or repeat a few bytes, mostly by opcodes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(found))
        other = rng.randrange(len(found))
        kind = rng.random()
        if kind < 0.5:
            found[place] = rng.choice(OPCODES) if kind < 0.3 else rng.randrange(256)
        elif kind < 0.65:
            del found[place : place + rng.randrange(1, 9)]
        elif kind < 0.85:
            found[place:place] = bytes([rng.choice(OPCODES)])
        else:
            found[place:place] = found[other : other + rng.randrange(1, 30)]
    return bytes(found)


def weights(members: dict[str, bytes], rng: random.Random) -> Reading:
    inner = members_of(members["policy.pth"])
    (name,) = (name for name in inner if name.endswith("/data.pkl"))
    members["policy.pth"] = archive({**inner, name: mutate(inner[name], rng)})
    return Reading(raw=True)


def attribute(members: dict[str, bytes], rng: random.Random) -> Reading:
    found = json.loads(members["data"])
    name = rng.choice(["policy_class", "observation_space", "action_space", "policy_kwargs"])
    data = mutate(base64.b64decode(found[name][":serialized:"]), rng)
    found[name][":serialized:"] = base64.b64encode(data).decode()
    members["data"] = json.dumps(found).encode()
    return Reading(raw=True)


def text(members: dict[str, bytes], rng: random.Random) -> Reading:
    members["data"] = mutate(members["data"], rng)
    return Reading(raw=True)


def statistics(members: dict[str, bytes], rng: random.Random) -> Reading:
    data = (FIXTURES / "ppo_relu.vecnormalize.pkl").read_bytes()
    return Reading(statistics=mutate(data, rng), vecnormalize="statistics")


@pytest.mark.parametrize("part", [weights, attribute, text, statistics])
def test_a_mutant_is_read_or_refused(part: object) -> None:
    assert callable(part)
    rng = random.Random(1)
    original = members_of(Path(FIXTURES / "ppo_relu.zip"))
    refused = 0
    for _ in range(MUTANTS):
        members = dict(original)
        reading = part(members, rng)
        try:
            found = read_source(archive(members), "mutant", reading)
        except Error:
            refused += 1
        else:
            assert (found.inputs, found.observation.width) == (5, 5)
    assert 0 < refused < MUTANTS
