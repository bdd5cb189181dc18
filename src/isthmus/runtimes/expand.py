"""`${NAME}` and `~` in the texts of a manifest.

A variable is one of the environment isthmus was started in. `${{TEXT}}` stands for the plain text
`${TEXT}`, and `$NAME` for itself: that is the shell's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from isthmus.errors import EnvironmentSetupError

__all__ = ["VARIABLE", "at_home", "expand", "fill", "malformed", "unset"]

VARIABLE = r"\$\{(?:\{(?P<plain>[^{}]*)\}|(?P<variable>[A-Za-z_][A-Za-z0-9_]*))\}"
"""What stands for a variable (group `variable`), or looks like one and is text (`plain`)."""

_VARIABLE = re.compile(VARIABLE)


def expand(text: str, folder: Path, environ: Mapping[str, str]) -> Path:
    """Turn a path of a manifest into an absolute one; nothing is looked up on disk.

    Args:
        text: as in the file, such as "${ISAAC_SIM_ROOT}" or "~/envs/policy".
        folder: the manifest's, absolute; where a relative path starts.
        environ: holds the variables.

    Raises:
        EnvironmentSetupError: a variable is not set, or is empty; names it.
    """
    # An empty one would make "${ROOT}/bin" the system's.
    present = {name: value for name, value in environ.items() if value}
    return folder / at_home(fill(text, present), environ)


def fill(text: str, environ: Mapping[str, str]) -> str:
    """Put the variables' values in.

    Raises:
        EnvironmentSetupError: a variable is not set; names it.
    """
    missing = unset(text, environ)
    if missing:
        raise EnvironmentSetupError(
            f"{text!r} needs the environment variable {missing[0]}, which is not set or empty: "
            f"export {missing[0]}=..., or write the value itself"
        )
    return _VARIABLE.sub(
        lambda found: environ[found["variable"]] if found["variable"] else f"${{{found['plain']}}}",
        text,
    )


def unset(text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name the variables of a text that are not set, each once."""
    names = (found["variable"] for found in _VARIABLE.finditer(text))
    return tuple(dict.fromkeys(name for name in names if name and name not in environ))


def malformed(text: str) -> bool:
    """Tell whether a `${` begins nothing that is understood here, such as `${NAME:-default}`."""
    return "${" in _VARIABLE.sub("", text)


def at_home(text: str, environ: Mapping[str, str]) -> str:
    """Write the home folder for a leading `~`; `~name` stays."""
    if text == "~" or text.startswith("~/"):
        return (environ.get("HOME") or os.path.expanduser("~")) + text[1:]
    return text
