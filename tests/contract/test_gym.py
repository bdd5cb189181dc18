from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isthmus.contract import Contract, Limits
from isthmus.contract.gym import contract_from_spaces, offered_contract
from isthmus.errors import ContractError

spaces = pytest.importorskip("gymnasium.spaces")

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


def describe(observation: Any = BOX, action: Any = BOX, **parts: Any) -> Contract:
    values = {"name": "n", "control_dt": 0.02, "fallback": "zero", **parts}
    return contract_from_spaces(observation, action, **values)


def test_bare_spaces_become_observation_and_action() -> None:
    contract = describe()
    assert [f.name for f in contract.observation] == ["observation"]
    assert [f.name for f in contract.action] == ["action"]
    assert contract.field("observation").shape == (2,)
    assert contract.control_dt_ns == 20_000_000
    assert contract.limits["action"] == Limits(low=(-1.0, -1.0), high=(1.0, 1.0))


@pytest.mark.parametrize(
    ("space", "shape", "dtype", "limits"),
    [
        (spaces.Discrete(3), (), "int64", Limits(low=(0.0,), high=(2.0,))),
        (spaces.Discrete(3, start=-1), (), "int64", Limits(low=(-1.0,), high=(1.0,))),
        (
            spaces.MultiDiscrete([2, 5]),
            (2,),
            "int64",
            Limits(low=(0.0, 0.0), high=(1.0, 4.0)),
        ),
        (spaces.MultiBinary(2), (2,), "int8", Limits(low=(0.0, 0.0), high=(1.0, 1.0))),
        (spaces.MultiBinary((2, 1)), (2, 1), "int8", Limits(low=(0.0,), high=(1.0,))),
        (spaces.Box(0, 255, (4, 4, 3), np.uint8), (4, 4, 3), "uint8", None),
        (spaces.Box(0, 9, (2,), np.uint8), (2,), "uint8", Limits(high=(9.0, 9.0))),
        (spaces.Box(-np.inf, np.inf, (2,), np.float64), (2,), "float64", None),
        (
            spaces.Box(
                np.array([-np.inf, -1.0], np.float32), np.array([np.inf, np.inf], np.float32)
            ),
            (2,),
            "float32",
            Limits(low=(float(np.finfo(np.float32).min), -1.0)),
        ),
    ],
)
def test_every_kind_of_space_has_its_array_and_limits(
    space: Any, shape: tuple[int, ...], dtype: str, limits: Limits | None
) -> None:
    contract = describe(action=space)
    action = contract.field("action")
    assert (action.shape, action.dtype) == (shape, dtype)
    assert contract.limits.get("action") == limits
    assert describe(observation=space).field("observation").shape == shape
    assert space.sample().shape == shape
    assert space.sample().dtype == action.numpy_dtype


def test_parts_are_named_with_dots_in_the_order_of_the_space() -> None:
    space = spaces.Dict(
        {
            "q": BOX,
            "images": spaces.Dict({"top": spaces.Box(0, 255, (2, 2, 3), np.uint8)}),
            "both": spaces.Tuple([spaces.Discrete(2), BOX]),
        }
    )
    names = [f.name for f in describe(observation=space).observation]
    assert sorted(names) == ["both.0", "both.1", "images.top", "q"]
    assert [name.split(".")[0] for name in names if name != "both.1"] == list(space.spaces)


def test_names_that_collide_are_refused() -> None:
    space = spaces.Dict({"a.b": BOX, "a": spaces.Dict({"b": BOX})})
    with pytest.raises(ContractError, match=r"duplicate field name 'a\.b'"):
        describe(observation=space)


def test_what_a_box_bounds_follows_the_semantics() -> None:
    action = spaces.Box(np.array([-0.1, -0.2], np.float32), np.array([0.1, 0.1], np.float32))
    space = spaces.Dict({"q": BOX})
    delta = describe(
        space, action, semantics="delta", fallback="", measured_position="q", units={"action": "m"}
    )
    np.testing.assert_allclose(delta.limits["action"].max_rate or (), [5.0, 10.0], rtol=1e-6)
    assert delta.limits["action"].low is None
    assert delta.action[0].fallback == "zero"
    position = describe(
        space, action, semantics={"action": "position"}, fallback={}, measured_position="q"
    )
    assert position.action[0].fallback == "hold"
    assert position.limits["action"].low is not None


def test_an_opaque_action_needs_its_fallback() -> None:
    with pytest.raises(ContractError, match="opaque action must name its fallback"):
        describe(fallback="")


@pytest.mark.parametrize("kind", ["Text", "Sequence", "Graph", "OneOf"])
def test_a_space_without_a_fixed_shape_is_refused_by_name(kind: str) -> None:
    made = {
        "Text": lambda: spaces.Text(4),
        "Sequence": lambda: spaces.Sequence(BOX),
        "Graph": lambda: spaces.Graph(BOX, None),
        "OneOf": lambda: spaces.OneOf([BOX, spaces.Discrete(2)]),
    }[kind]()
    with pytest.raises(ContractError, match=f"'deep.x' is a {kind}"):
        describe(observation=spaces.Dict({"deep": spaces.Dict({"x": made})}))


def test_what_is_no_space_is_refused() -> None:
    with pytest.raises(ContractError, match="'observation' is a NoneType"):
        describe(observation=None)


def test_a_subclass_of_a_space_is_that_space() -> None:
    class Mine(spaces.Box):  # type: ignore[misc]
        pass

    assert describe(action=Mine(-1.0, 1.0, (3,))).action[0].shape == (3,)


def test_an_empty_dict_has_no_fields() -> None:
    with pytest.raises(ContractError, match="got 0"):
        describe(observation=spaces.Dict({}))


def test_bounds_that_differ_along_a_leading_axis_are_refused() -> None:
    high = np.array([[1.0, 1.0], [1.0, 2.0]], np.float32)
    with pytest.raises(ContractError, match="differ along its leading axes"):
        describe(action=spaces.Box(-high, high))


@pytest.mark.parametrize("part", ["semantics", "units", "labels", "measured_position"])
def test_a_word_for_no_field_is_refused(part: str) -> None:
    with pytest.raises(ContractError, match=f"{part} names 'torso'"):
        describe(**{part: {"torso": "x"}})


@pytest.mark.parametrize("control_dt", [0.0, -1.0, float("nan"), float("inf"), "0.1", None, 1e-12])
def test_a_control_dt_is_a_time(control_dt: Any) -> None:
    with pytest.raises(ContractError, match="control_dt"):
        describe(control_dt=control_dt)


def test_an_environments_own_contract_is_preferred() -> None:
    own = describe()
    assert offered_contract(SimpleNamespace(contract=own)) is own
    assert offered_contract(SimpleNamespace(unwrapped=SimpleNamespace(contract=lambda: own))) is own
    assert offered_contract(SimpleNamespace()) is None
    with pytest.raises(ContractError, match="is no Contract: 7"):
        offered_contract(SimpleNamespace(contract=7))


def test_gymnasium_is_not_imported() -> None:
    program = "import isthmus.contract.gym, sys; sys.exit('gymnasium' in sys.modules)"
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(source)})
    assert done.returncode == 0
