from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import tomltext
from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.text import FORMATS, MAX_DEPTH, MAX_TEXT, dumps, loads, parse
from isthmus.contract.units import UNITS
from isthmus.errors import ContractError, MissingDependencyError

Make = Callable[..., Contract]

names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=9)
finite = st.floats(-1e6, 1e6, allow_subnormal=True)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any contract: fields, labels, semantics and limits."""
    width = draw(st.integers(1, 5))
    labels = tuple(draw(st.lists(names, min_size=width, max_size=width, unique=True)))
    fields = draw(st.lists(names, min_size=2, max_size=4, unique=True))
    observation = tuple(
        Field(name, (width,), "float32", draw(st.sampled_from(list(UNITS))), labels)
        for name in fields[:-1]
    )
    unit = observation[0].unit
    bounds = [sorted(draw(st.tuples(finite, finite))) for _ in range(width)]
    semantics = draw(st.sampled_from(["position", "delta", "velocity", "torque", "opaque"]))
    action = ActionField(
        fields[-1],
        (width,),
        "float64",
        unit,
        labels if draw(st.booleans()) else (),
        semantics=semantics,
        measured_position=observation[0].name,
        fallback="value" if semantics == "opaque" else "",
        fallback_value=tuple(low for low, _ in bounds) if semantics == "opaque" else (),
    )
    limits = Limits(
        low=tuple(low for low, _ in bounds),
        high=tuple(high for _, high in bounds),
        max_rate=tuple(draw(st.floats(1e-9, 1e9)) for _ in range(width)),
    )
    return Contract(
        draw(names),
        observation,
        (action,),
        draw(st.integers(1, 10**12)),
        actuator=draw(st.sampled_from(["simulated", "real"])),
        limits={action.name: limits} if draw(st.booleans()) else {},
    )


@given(contract=contracts())
def test_text_brings_back_the_same_contract(contract: Contract) -> None:
    again = loads(dumps(contract))
    assert again == contract
    assert Contract.from_dict(contract.to_dict()) == contract
    assert again.interface_hash == contract.interface_hash
    assert again.limits_hash == contract.limits_hash
    assert loads(dumps(contract).encode()) == contract


def test_text_is_written_one_field_a_line(arm: Make) -> None:
    lines = dumps(arm()).splitlines()
    assert '    {"name": "q", "shape": [3], "dtype": "float32", "unit": "rad"' in lines[11]
    assert lines[-1] == "}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
KEYS = [
    *Contract(
        "n", (Field("q", (), "bool"),), (ActionField("a", (), "bool", fallback="zero"),), 1
    ).to_dict()
]


@given(data=st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_value_raises_anything_but_a_contract_error(data: dict[str, Any]) -> None:
    try:
        Contract.from_dict(data)
    except ContractError as exc:
        assert len(str(exc)) < 5000


@given(path=st.data(), value=json_values | st.integers(10**300, 10**400))
def test_no_changed_entry_raises_anything_but_a_contract_error(
    path: st.DataObject, value: object
) -> None:
    """One place anywhere in a good document becomes something else."""
    labels = ("a", "b")
    good = Contract(
        "n",
        (Field("q", (2,), "float32", "rad", labels),),
        (
            ActionField(
                "a", (2,), "float32", "rad", labels, semantics="delta", measured_position="q"
            ),
        ),
        1_000_000,
        limits={"a": Limits(low=(-1.0, -1.0), high=(1.0, 1.0))},
    ).to_dict()
    place: Any = good
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = path.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or path.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        assert isinstance(Contract.from_dict(good).interface_hash, str)
    except ContractError as exc:
        assert len(str(exc)) < 5000


@given(text=st.text(st.sampled_from("[]{}\"'\\.=,:#\n a1-+eE_"), max_size=60))
@pytest.mark.parametrize("format", FORMATS)
def test_no_text_raises_anything_but_a_contract_error(format: str, text: str) -> None:
    if format == "toml" and sys.version_info < (3, 11):
        pytest.skip("this Python has no tomllib")
    try:
        parse(text, format)
    except ContractError:
        pass


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no valid json"),
        ("{", "no valid json"),
        ("[1]", "expected an object"),
        ("7", "expected an object"),
        ('{"a": NaN}', "finite"),
        ('{"a": -Infinity}', "finite"),
        ('{"a": 1e999}', "finite"),
        ('{"a": {"b": 1, "b": 1}}', "duplicate key 'b'"),
        ('{"a": ' + "9" * 100_000 + "}", "too long"),
        ('{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "nested deeper"),
        ("[" * 500_000, "nested deeper"),
        ('"' + '\\"' * 300_000, "no valid json"),
        (" " * (MAX_TEXT + 1), "at most"),
        (b"\xff{}", "UTF-8"),
        ("\ufeff{}", "no valid json"),
        (None, "expected text"),
        (bytearray(b"{}"), "expected text"),
    ],
)
def test_hostile_json_is_refused(text: Any, why: str) -> None:
    with pytest.raises(ContractError, match=why) as refusal:
        parse(text)
    assert len(str(refusal.value)) < 400


def test_brackets_in_strings_do_not_count() -> None:
    text = '{"a": "' + "[" * 100 + '\\"", "b": [' + "[]," * 99 + "[]]}"
    assert len(parse(text)["b"]) == 100


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ContractError, match="json, toml"):
        parse("{}", "yaml")


TOML = """
name = "arm"
control_dt_ns = 40_000_000
[[observation]]
name = "q"
shape = [2]
dtype = "float32"
unit = "rad"
labels = ["a", "b"]   # [[[[
[[action]]
name = "delta"
shape = [2]
dtype = "float32"
semantics = "delta"
measured_position = "q"
[limits.delta]
low = [-1, -1.5]
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has no tomllib")
class TestToml:
    """What TOML adds: comments, infinities, dates, dotted keys."""

    def test_a_contract_is_read(self) -> None:
        contract = loads(TOML, "toml")
        assert contract.limits["delta"].low == (-1.0, -1.5)
        assert loads(dumps(contract)) == contract

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("a = inf", "finite"),
            ("a = [nan]", "finite"),
            ("a = 1\na = 2", "no valid toml"),
            ("a = " + "9" * 5000, "no valid toml"),
            ("a = 0x" + "f" * 5000, "too long"),
            (".".join("a" * 400_000) + " = 1", "nested deeper"),
            ("a = " + "[" * 100_000, "nested deeper"),
            ('"""' + '\\"' * 200_000, "no valid toml"),
        ],
    )
    def test_hostile_toml_is_refused(self, text: str, why: str) -> None:
        with pytest.raises(ContractError, match=why):
            parse(text, "toml")

    def test_a_date_is_no_value_of_a_contract(self) -> None:
        with pytest.raises(ContractError, match="name must be text"):
            loads(TOML.replace('"arm"', "1979-05-27"), "toml")


def test_a_python_without_toml_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(tomltext, "import_module", absent)
    with pytest.raises(MissingDependencyError, match="pip install tomli"):
        loads(TOML, "toml")
