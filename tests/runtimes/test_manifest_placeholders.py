from __future__ import annotations

import pytest

from isthmus.errors import ManifestError
from isthmus.runtimes.placeholders import (
    escape,
    fill_set,
    placeholders,
    substitute,
    unset_variables,
)

VALUES = {"run_id": "R1", "gateway.tcp": "tcp://h:1", "odd": "{run_id} ${X} {{"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain $X $$ $", "plain $X $$ $"),
        ("{run_id}/{gateway.tcp}{run_id}", "R1/tcp://h:1R1"),
        ("{{run_id}}", "{run_id}"),
        ("{{{run_id}}}", "{R1}"),
        ('{{"a": {{}}}}', '{"a": {}}'),
        ("{odd}", "{run_id} ${X} {{"),
        ("${{HOME}}", "${HOME}"),
        ("${{HOME:-x}}", "${HOME:-x}"),
        ("$x{run_id}", "$xR1"),
    ],
)
def test_substitute(text: str, filled: str) -> None:
    assert substitute(text, VALUES) == filled


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{run}", r"\{run\}.*known: \{run_id\}, \{gateway.tcp\}"),
        ("{}", "no value"),
        ("{", "'{{'"),
        ("}", "'}}'"),
        ("{run_id", "'{{'"),
        ("{a{b}", "'{{'"),
        ("a ${X}", "environment variable X, which is not set"),
    ],
)
def test_what_cannot_be_filled(text: str, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        substitute(text, VALUES)


def test_nothing_is_known() -> None:
    with pytest.raises(ManifestError, match="known: none"):
        substitute("{run}", {})


def test_placeholders_are_named_once() -> None:
    assert placeholders("{b}{a.c}{b}{{d}}${E}${{F}}{ g }") == ("b", "a.c", " g ")
    with pytest.raises(ManifestError, match="belongs to no placeholder"):
        placeholders("a}")


def test_variables_that_are_set_are_put_in_as_text() -> None:
    environ = {"A": "x{run_id}", "B": "${A}", "EMPTY": ""}
    text = fill_set("${A} ${B} ${C} [${EMPTY}] {run_id} {{}} ${{A}}", environ)
    assert unset_variables(text) == ("C",)
    assert substitute(text.replace("${C}", "c"), VALUES) == "x{run_id} ${A} c [] R1 {} ${A}"


@pytest.mark.parametrize("text", ["", "a", "{", "}}", "{run_id}", "${X}", "${{X}}", "a{b}{{c"])
def test_what_is_escaped_comes_back(text: str) -> None:
    assert substitute(escape(text), {}) == text
