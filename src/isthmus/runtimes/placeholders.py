"""`{NAME}` in the commands, variables and folders of a manifest's processes, known once a run is.

`{{` and `}}` are braces. `${NAME}` is a variable of the environment; the manifest's reader puts
those in (`fill_set`), and one that is still there later was not set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from isthmus.errors import ManifestError
from isthmus.runtimes.expand import VARIABLE

__all__ = ["GENERAL", "PID", "escape", "fill_set", "placeholders", "substitute", "unset_variables"]

# What every process of a run may use; the others are {PROCESS.pid} and {PROCESS.GROUP}.
GENERAL = {
    "run_id": "the run's id, also in `ISTHMUS_RUN_ID`",
    "run": "the run's directory, also in `ISTHMUS_RUN_DIR`",
    "sockets": "a private folder whose path is short enough for Unix sockets",
    "contract": "`file` of `[contract]`",
}
PID = "pid"

_PART = re.compile(
    rf"{VARIABLE}|(?P<brace>\{{\{{|\}}\}})|\{{(?P<name>[^{{}}]*)\}}|(?P<stray>[{{}}])"
)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of a text.

    Args:
        text: as in the manifest's settings.
        values: such as {"run_id": "...", "gateway.tcp": "tcp://127.0.0.1:4711"}.

    Raises:
        ManifestError: a placeholder has no value, a variable was not set, or a brace stands alone.
    """

    def value(found: re.Match[str]) -> str:
        _check(text, found)
        if found["plain"] is not None:
            return f"${{{found['plain']}}}"
        if found["brace"]:
            return found["brace"][0]
        if found["name"] not in values:
            known = ", ".join(f"{{{name}}}" for name in values) or "none"
            raise ManifestError(f"{found[0]} in {text!r} has no value; known: {known}")
        return values[found["name"]]

    return _PART.sub(value, text)


def placeholders(text: str) -> tuple[str, ...]:
    """Name the placeholders of a text, without their braces, each once.

    Raises:
        ManifestError: a brace stands alone.
    """
    parts = list(_PART.finditer(text))
    for found in parts:
        if found["stray"]:
            _check(text, found)
    return tuple(dict.fromkeys(found["name"] for found in parts if found["name"] is not None))


def fill_set(text: str, environ: Mapping[str, str]) -> str:
    """Put in the variables that are set, so that their values hold no placeholders."""

    def value(found: re.Match[str]) -> str:
        known = found["variable"] and found["variable"] in environ
        return escape(environ[found["variable"]]) if known else found[0]

    return _PART.sub(value, text)


def unset_variables(text: str) -> tuple[str, ...]:
    """Name the variables that are still in a text, because they were not set."""
    found = (part["variable"] for part in _PART.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name))


def escape(text: str) -> str:
    """Write a text so that `substitute` gives it back."""
    return text.replace("{", "{{").replace("}", "}}")


def _check(text: str, found: re.Match[str]) -> None:
    if found["variable"]:
        raise ManifestError(
            f"{text!r} needs the environment variable {found['variable']}, which is not set: "
            f"export {found['variable']}=..., or write the value itself"
        )
    if found["stray"]:
        raise ManifestError(
            f"{text!r} has a {found[0]!r} that belongs to no placeholder: "
            f"write {found[0] * 2!r} for the character"
        )
