"""The dummy: a policy in one line of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus import ActionField, Contract, Field
from isthmus.contract.jointspec import JointSpec
from isthmus.errors import PolicyLoadError
from isthmus.policy import load
from isthmus.policy.base import allocate_action, allocate_observation
from isthmus.policy.dummy import dummy_contract
from isthmus.policy.limited import LimitedPolicy, limited


def write(folder: Path, data: Any, name: str = "still.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def dummy(size: Any = 3, **more: Any) -> dict[str, Any]:
    return {"type": "linear_dummy", "action_dim": size, **more}


def test_it_answers_zeros(tmp_path: Path) -> None:
    found = load(write(tmp_path, dummy()))
    assert (found.name, found.kind) == ("still", "dummy_zero")
    [action] = found.contract.action
    assert [(f.name, f.shape, f.unit) for f in found.contract.observation] == [("q", (3,), "rad")]
    assert (action.name, action.shape, action.semantics, action.fallback) == (
        "delta", (3,), "delta", "zero",
    )  # fmt: skip
    assert found.contract.control_dt == 0.04
    out = allocate_action(found.contract, 2)
    out["delta"][...] = 7
    found.infer(allocate_observation(found.contract, 2), out, {}, {})
    assert not out["delta"].any()


def test_the_joints_have_names_if_somebody_says_them(tmp_path: Path) -> None:
    path = write(tmp_path, dummy(2))
    assert load(path).contract.joint_names == ()
    assert load(path, joint_names=("a", "b")).contract.joint_names == ("a", "b")
    with pytest.raises(PolicyLoadError, match="action_dim is 2, and 3 joints"):
        load(path, joint_names=("a", "b", "c"))


def test_a_contract_decides_its_period_and_must_have_its_size(tmp_path: Path) -> None:
    path = write(tmp_path, dummy(2))
    given = dummy_contract(2, control_dt_ns=5_000_000)
    assert load(path, contract=given).contract is given
    with pytest.raises(PolicyLoadError, match="action_dim is 2, .* has 3 numbers; nothing is padd"):
        load(path, contract=dummy_contract(3))


def test_zero_is_no_answer_to_everything(tmp_path: Path) -> None:
    position = Contract(
        "arm",
        (Field("q", (2,), "float32", "rad"),),
        (ActionField("p", (2,), "float32", "rad", semantics="position", measured_position="q"),),
        40_000_000,
    )
    with pytest.raises(PolicyLoadError, match="zero pose"):
        load(write(tmp_path, dummy(2)), contract=position)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "got no object"),
        ({"type": "linear", "action_dim": 2}, "got type 'linear'"),
        ({"manifest_version": 1}, "if this is its manifest"),
        (dummy(0), "from 1 to 4096, got 0"),
        (dummy(-1), "got -1"),
        (dummy(True), "got True"),
        (dummy("6"), "got '6'"),
        (dummy(2.0), "got 2.0"),
        (dummy(10**9), "from 1 to 4096"),
        ({"type": "linear_dummy"}, "got None"),
        (dummy(weights=[1]), "unknown keys 'weights'"),
        ("x" * 100_000, "larger than"),
        (b"\xff".decode("latin-1"), "not valid JSON"),
    ],
)
def test_what_is_no_dummy_is_refused(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(PolicyLoadError, match=words):
        load(write(tmp_path, data))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="cannot be read"):
        load(tmp_path / "none.json")


SPEC = JointSpec.parse('{"a": {"lower": -1, "upper": 1}, "b": {"lower": -2, "upper": 2}}')


def test_a_joint_specification_is_worn_over_a_policy(tmp_path: Path) -> None:
    bare = load(write(tmp_path, dummy(2)))
    assert limited(bare, None) is bare
    found = limited(bare, SPEC)
    assert isinstance(found, LimitedPolicy)
    assert (found.name, found.kind, found.digest) == (bare.name, bare.kind, bare.digest)
    assert found.contract.limits["delta"].low == (-1, -2)
    assert found.contract.interface_hash == bare.contract.interface_hash
    assert found.initial_state(2) == {}
    out = {"delta": np.ones((1, 2), np.float32)}
    found.infer(allocate_observation(found.contract, 1), out, {}, {})
    assert not out["delta"].any()
    found.close()


def test_one_that_does_not_fit_closes_the_policy(tmp_path: Path) -> None:
    closed = []

    class Watched:
        def __init__(self) -> None:
            self.__dict__.update(vars(load(write(tmp_path, dummy(3)))))

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(PolicyLoadError, match="policy 'still': the joint specification has 2"):
        limited(Watched(), SPEC)  # type: ignore[arg-type]
    assert closed
