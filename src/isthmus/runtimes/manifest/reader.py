"""Check a parsed `isthmus.toml` against the table of keys, one table at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.manifest.checks import Misfit, brief
from isthmus.runtimes.manifest.keys import MANIFEST, Key, Table, tables
from isthmus.runtimes.manifest.kinds import KINDS, Surroundings
from isthmus.runtimes.manifest.lines import Place
from isthmus.runtimes.manifest.values import named

__all__ = ["Complaint", "nearest", "read_table"]


class Complaint(Exception):
    """Something in a manifest is wrong.

    Args:
        place: where, as keys from the top.
        message: what was expected, what came, what to do.
    """

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def read_table(
    data: object, around: Surroundings, table: Table = MANIFEST, place: Place = ()
) -> dict[str, Any]:
    """Check a table and all in it.

    Args:
        data: what the parser made of it.
        around: what paths and variables are read against.
        table: the keys it may have.
        place: where it is in the file.

    Returns:
        What is given in it, by the name of the settings' attribute; of named tables a mapping of
        such mappings.

    Raises:
        Complaint: a key is unknown or missing, or a value is not of its kind.
    """
    if not isinstance(data, dict):
        raise Complaint(place, f"{_called(table, place)}: expected a table, got {brief(data)}")
    found = {}
    for name, value in data.items():
        key = table.key(name)
        if key is None:
            raise Complaint((*place, name), _unknown(name, table, place))
        found[key.field] = _value(key, value, around, (*place, name))
    _check_presence(data, table, place)
    return found


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """End a message about an unknown word: the nearest one, or all there are."""
    words = list(known)
    near = get_close_matches(word, words, 1) or [
        each for each in words if _letters(each) == _letters(word)
    ]
    if near:
        return f"nearest {what} '{near[0]}'"
    return f"known: {', '.join(words)}" if words else f"there is no {what}"


def _letters(word: str) -> str:
    return re.sub(r"[^a-z]", "", word.lower())


def _value(key: Key, value: object, around: Surroundings, place: Place) -> Any:
    if key.table is None:
        return _single(key, value, around, place)
    if not key.named:
        return read_table(value, around, key.table, place)
    if not isinstance(value, dict):
        raise Complaint(
            place, f"'{key.name}': expected tables [{key.table.header}], got {brief(value)}"
        )
    return {
        name: _named_table(name, each, around, key.table, (*place, name))
        for name, each in value.items()
    }


def _named_table(
    name: str, data: object, around: Surroundings, table: Table, place: Place
) -> dict[str, Any]:
    if not isinstance(data, dict):
        hint = f"; '{name}' is a key of [{table.header}]" if table.key(name) else ""
        raise Complaint(
            place, f"[{table.header}]: expected a table for NAME '{name}', got {brief(data)}{hint}"
        )
    try:
        named(name)
    except Misfit as misfit:
        raise Complaint(place, str(misfit)) from misfit
    return read_table(data, around, table, place)


def _single(key: Key, value: object, around: Surroundings, place: Place) -> Any:
    kind = KINDS[key.kind]
    try:
        return kind.place(kind.check(value), around)
    except Misfit as misfit:
        hint = _meant_table(value, place) if isinstance(value, dict) else ""
        raise Complaint((*place, *misfit.at), f"'{key.name}': {misfit}{hint}") from misfit
    except EnvironmentSetupError as error:
        raise Complaint(place, f"'{key.name}': {error}") from error


def _meant_table(value: Mapping[str, object], place: Place) -> str:
    """Hint at [run.NAME] where [runs.NAME] was written: 'runs' is a key of its own."""
    key = MANIFEST.key(str(place[0]).removesuffix("s")) if len(place) == 1 else None
    if key is None or not key.named:
        return ""
    return f"; did you mean [{key.name}.{next(iter(value), 'NAME')}]?"


def _check_presence(data: Mapping[str, object], table: Table, place: Place) -> None:
    for key in table.keys:
        if key.required and key.name not in data:
            example = f"{key.name} = {key.example or key.default}"
            raise Complaint(
                place, f"{_called(table, place)}: '{key.name}' is missing; such as {example}"
            )
    if table.one_of and len(data) != 1:
        known = ", ".join(key.name for key in table.keys)
        given = " and ".join(data) or "none"
        raise Complaint(
            place, f"{_called(table, place)}: expected exactly one of {known}, got {given}"
        )


def _called(table: Table, place: Place) -> str:
    return f"[{'.'.join(map(str, place)) or table.header}]"


def _unknown(name: str, table: Table, place: Place) -> str:
    hint = nearest(name, [key.name for key in table.keys], "key")
    homes = [each.header for each in tables() if each is not table and each.key(name)]
    if homes and not hint.startswith("nearest"):
        hint = f"it belongs in {' or '.join(map(_header, homes))}"
    where = f" in {_called(table, place)}" if place else ""
    return f"unknown key '{name}'{where}; {hint}"


def _header(header: str) -> str:
    return f"[{header}]" if header else "the top, before any table"
