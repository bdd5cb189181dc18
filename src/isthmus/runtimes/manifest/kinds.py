"""What a value of `isthmus.toml` may be: a table of kinds, each a name, a check and a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.runtimes.expand import at_home, expand, fill
from isthmus.runtimes.manifest import checks as checks
from isthmus.runtimes.manifest import values as values
from isthmus.runtimes.placeholders import escape, fill_set
from isthmus.runtimes.settings import RESTARTS

__all__ = ["KINDS", "MAX_SECONDS", "STOP_SIGNALS", "Kind", "Surroundings"]

MAX_SECONDS = 604_800
"""A week: whoever waits longer does not watch."""

MAX_RESTARTS = 1_000_000

STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the texts of a manifest are read against.

    Attributes:
        folder: the manifest's, absolute.
        environ: the variables for `${NAME}`.
    """

    folder: Path
    environ: Mapping[str, str]


def _as_it_is(value: Any, around: Surroundings) -> Any:
    return value


def _expanded(value: Any, around: Surroundings) -> Any:
    """Make paths absolute; a list that is no list of paths (requirements) stays."""
    return expand(value, around.folder, around.environ) if isinstance(value, str) else value


def _all_expanded(value: Any, around: Surroundings) -> Any:
    return tuple(expand(each, around.folder, around.environ) for each in value)


def _all_filled(value: Any, around: Surroundings) -> Any:
    return {name: fill(each, around.environ) for name, each in value.items()}


def _prepared(value: Any, around: Surroundings) -> Any:
    """Put in the variables that are set, and leave placeholders to the run."""
    if isinstance(value, tuple):
        return tuple(fill_set(each, around.environ) for each in value)
    if isinstance(value, dict):
        return {name: fill_set(each, around.environ) for name, each in value.items()}
    return fill_set(value, around.environ)


def _prepared_path(value: Any, around: Surroundings) -> Any:
    home = at_home("~", around.environ)
    if value == "~" or value.startswith("~/"):
        return escape(home) + fill_set(value[1:], around.environ)
    return fill_set(value, around.environ)


def _prepared_folder(value: Any, around: Surroundings) -> Any:
    return Path(_prepared_path(value, around))


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        says: what it is, for people, such as "seconds".
        check: gives the value in the form the settings hold, or raises `Misfit`.
        schema: the same as JSON Schema, as far as that can say it.
        place: puts in what is around the manifest: variables, its folder.
    """

    says: str
    check: checks.Check
    schema: Mapping[str, Any]
    place: Callable[[Any, Surroundings], Any] = _as_it_is


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _either(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [items, {**_list(items), "minItems": 1}]}


def _words(*words: str) -> Kind:
    said = ", ".join(f'`"{word}"`' for word in words)
    return Kind(f"one of {said}", checks.word(*words), {"enum": list(words)})


_TEXT = {"type": "string", "minLength": 1}
_NAME = {"type": "string", "pattern": f"^{values.NAME}$"}
_MODULE = {"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*$"}
_NAMES_VALUE = "^[A-Za-z_][A-Za-z0-9_]*$"
_SECONDS = {"type": "number", "maximum": MAX_SECONDS}
_VARIABLES = {
    "type": "object",
    "propertyNames": {"pattern": _NAMES_VALUE, "not": {"enum": list(values.RESERVED)}},
    "additionalProperties": {"type": "string"},
}

KINDS: dict[str, Kind] = {
    "path": Kind("path", values.path, _TEXT, _expanded),
    "import folders": Kind(
        "list of paths",
        checks.listed(values.import_folder, "folders"),
        _list({**_TEXT, "pattern": "^[^:]+$"}),
        _all_expanded,
    ),
    "pythons": Kind(
        "path, version range, or a list of these",
        checks.either(values.python, "paths and version ranges"),
        _either(_TEXT),
    ),
    "requirements": Kind(
        "list of requirement lines, or the path of a file of them",
        values.requirements,
        _either(_TEXT),
        _expanded,
    ),
    "specifier": Kind("version range", values.specifier, _TEXT),
    "modules": Kind("list of modules", checks.listed(values.module, "modules"), _list(_MODULE)),
    "variable names": Kind(
        "list of variables",
        checks.listed(values.variable, "names of variables"),
        _list({"type": "string", "pattern": _NAMES_VALUE}),
    ),
    "variables": Kind("table of texts", values.variables(values.filled), _VARIABLES, _all_filled),
    "late variables": Kind(
        "table of texts", values.variables(checks.argument), _VARIABLES, _prepared
    ),
    "flag": Kind("`true` or `false`", checks.flag, {"type": "boolean"}),
    "command": Kind(
        "list of texts, or one text, split as by a shell",
        values.command,
        {"anyOf": [_TEXT, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
        _prepared,
    ),
    "folder": Kind("path", checks.text, _TEXT, _prepared_folder),
    "seconds": Kind("seconds", checks.number(0, MAX_SECONDS), {**_SECONDS, "minimum": 0}),
    "timeout": Kind(
        "seconds",
        checks.number(0, MAX_SECONDS, above=True),
        {**_SECONDS, "exclusiveMinimum": 0},
    ),
    "count": Kind(
        "whole number",
        checks.number(0, MAX_RESTARTS, whole=True),
        {"type": "integer", "minimum": 0, "maximum": MAX_RESTARTS},
    ),
    "restart": _words(*RESTARTS),
    "signal": _words(*STOP_SIGNALS),
    "runtime": Kind("name of a runtime", values.named, _NAME),
    "process": Kind("name of a process", values.named, _NAME),
    "processes": Kind("list of processes", checks.listed(values.named, "processes"), _list(_NAME)),
    "patterns": Kind(
        "regular expression, or a list of them",
        values.patterns,
        _either({**_TEXT, "format": "regex"}),
    ),
    "address": Kind(
        "port, or HOST:PORT",
        values.address,
        {"anyOf": [_TEXT, {"type": "integer", "minimum": 1, "maximum": 65535}]},
        _prepared,
    ),
    "socket": Kind("path", checks.text, _TEXT, _prepared_path),
    "url": Kind("URL", values.url, {**_TEXT, "pattern": "^(http://|[{$])"}, _prepared),
}
