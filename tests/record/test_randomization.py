"""What a run keeps of its randomization."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import ContractError
from isthmus.provenance import randomization_hash
from isthmus.record import Run, randomization_facts, write_report
from isthmus.record.randomization import randomization_summary, run_hash

from .synthetic import make_run, scenes

MASSES = {"mass": np.array([0.1, 0.2], np.float32), "delay": 1}


def test_an_episode_keeps_what_ran_and_its_hash() -> None:
    facts = randomization_facts(MASSES)
    assert facts["rand_hash"] == randomization_hash(MASSES)
    assert facts["rand_hash"] == randomization_hash(json.loads(json.dumps(facts["randomization"])))
    assert facts.keys() == {"randomization", "rand_hash"}


def test_what_was_drawn_stands_beside_it() -> None:
    facts = randomization_facts(MASSES, {"delay": 1.0, "mass": MASSES["mass"].tolist()})
    assert facts["expected_rand_hash"] == facts["rand_hash"]
    assert "rand_difference" not in facts


def test_where_the_two_part_is_said() -> None:
    facts = randomization_facts(MASSES, {"mass": [0.1, 0.2], "delay": 1})
    assert facts["expected_rand_hash"] != facts["rand_hash"]
    assert facts["rand_difference"] == {
        "key": "mass[0]",
        "expected_value": 0.1,
        "actual_value": float(np.float32(0.1)),
    }


def test_values_that_cannot_be_hashed_are_no_facts() -> None:
    with pytest.raises(ContractError, match="mass is nan"):
        randomization_facts({"mass": float("nan")})


def test_a_run_has_one_hash_of_all_its_episodes() -> None:
    first, second = (randomization_facts({"mass": mass}) for mass in (1, 2))
    assert run_hash([first, second]) == randomization_hash(
        {"episodes": [first["rand_hash"], second["rand_hash"]]}
    )
    assert run_hash([first, second]) != run_hash([second, first])
    assert run_hash([]) is None
    assert run_hash([first, {"seed": 1}]) is None


@pytest.mark.parametrize(
    ("masses", "words"),
    [
        ([], "not recorded"),
        ([(1, None)], "1 sample in 1 episode"),
        ([(1, None), (2, None), (2, None)], "2 samples in 3 episodes"),
        ([(1, 1), (2, 2)], "2 samples in 2 episodes, applied as drawn"),
        ([(1, 1), (2, 3)], "2 samples in 2 episodes; not as drawn in 1 episode: mass"),
    ],
)
def test_a_run_says_whether_what_ran_was_what_was_drawn(
    masses: list[tuple[int, int | None]], words: str
) -> None:
    episodes = [
        randomization_facts({"mass": mass}, None if drawn is None else {"mass": drawn})
        for mass, drawn in masses
    ]
    assert randomization_summary(episodes) == words


def test_the_run_and_its_page_have_the_hash(tmp_path: Path) -> None:
    facts = [randomization_facts({"mass": mass}, {"mass": mass}) for mass in (1, 2)]
    run = make_run(tmp_path, facts=facts)
    run.finish({})
    found = Run.open(run.path).meta
    assert found["randomization_hash"] == run_hash(facts)
    assert [e["rand_hash"] for e in found["episodes"]] == [each["rand_hash"] for each in facts]
    page = write_report(run, scenes()).read_text(encoding="utf-8")
    assert found["randomization_hash"] in page
    assert "2 samples in 2 episodes, applied as drawn" in page


def test_a_run_without_randomization_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.finish({})
    assert "randomization_hash" not in run.meta
    assert "not recorded" in write_report(run, scenes()).read_text(encoding="utf-8")
