"""Every value of these documents is the number of the line its key or element stands in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isthmus import tomltext
from isthmus.runtimes.manifest.lines import Lines, Place

DOCUMENTS = {
    "plain": "a = 1\n\nb = 3 # c = 4\n# d = 4\nc=5",
    "tables": "x = 1\n[a]\nx = 3\n[a.b]\nx = 5\n\n[c]\n  x = 8\n[a.d]\nx = 10",
    "dotted": "a.b = 1\na.c.d = 2\n[t]\na . b = 4\n[ t . u ]\nx.y = 6",
    "quoted": "'a b' = 1\n\"c\\\"d\" = 2\n\"\\u0041\" = 3\n['[x]']\n'' = 5\n\"]\" = 6\n'=' = 7",
    "arrays": "a = [1, 1,\n  2, # , 9 ]\n  3,\n]\nb = [[\n6,\n7], [7], []]\nc = [\n]\nd = 10",
    "inline": "a = { b = 1, c.d = 1, e = [1,\n2] }\nf = {}\ng = [{x = 4}, {\tx = 4}]\nh = 5",
    "ends": "a = 1\r\n[b]\r\nc = 3\r\n",
    "no end": "a = 1\n[b] # [c]",
    "nothing": "",
    "comment": "# a = 2",
    "escapes": "a = 1\nb = {x = 2,'y'=2}\n",
}

# Strings say nothing of lines, so a number follows each.
STRINGS = {
    "basic": '"a = 1 # [x] \\" \\\\"',
    "literal": "'\\'",
    "empty": '""',
    "empty literal": "''",
    "lines": '"""\na = 1\n[x]\n\\""" "" \n"""',
    "literal lines": "'''\n'' a = 1\n\\'''",
    "quotes at the end": '"""a"""""',
    "literal quotes at the end": "'''a'''''",
    "empty lines": '""""""',
    "date": "1979-05-27 07:32:00",
    "number": "-1_000.5e+3",
    "word": "inf",
}


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*place, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*place, index))
    else:
        yield place, value


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_value_stands_where_it_says(text: str) -> None:
    lines = Lines(text)
    for place, line in leaves(tomltext.loads(text)):
        assert place in lines
        assert lines.of(place) == line, place


@pytest.mark.parametrize("string", STRINGS.values(), ids=STRINGS)
def test_strings_are_skipped_whole(string: str) -> None:
    text = (
        f"s = {string}\nafter = 0\n[t]\nl = [{string}, 0, {string}]\ni = {{ a = {string}, b = 0 }}"
    )
    lines = Lines(text)
    places = dict(leaves(tomltext.loads(text)))
    assert all(place in lines for place in places)
    number = string.count("\n")
    assert lines.of(("after",)) == 2 + number
    assert lines.of(("t",)) == 3 + number
    assert lines.of(("t", "l", 1)) == 4 + 2 * number
    assert lines.of(("i",)) == 1


def test_what_is_not_there_is_where_it_would_be() -> None:
    lines = Lines("\n[a]\nb = [1]")
    assert lines.of(("a", "c")) == 2
    assert lines.of(("a", "b", 0, "d", "e")) == 3
    assert lines.of(("x", "y")) == 1
    assert lines.of(()) == 1
    assert ("a", "c") not in lines


def test_a_table_that_is_only_implied_is_where_it_first_shows() -> None:
    lines = Lines("\n[a.b]\n[a]\nx = 4\n[[c]]\ny = 1\n[[c]]")
    assert lines.of(("a",)) == 2
    assert lines.of(("a", "x")) == 4
    assert lines.of(("c",)) == 5


def test_no_toml_is_refused() -> None:
    for text in ("= 1", "a = ]", "[", "a = [1"):
        with pytest.raises((ValueError, IndexError)):
            Lines(text)
