"""`${NAME}` and `~` in the texts of a manifest.

A variable is one of the environment isthmus was started in. `${{NAME}}` stands for the plain text
`${NAME}`, and `$NAME` for itself: that is the shell's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from isthmus.errors import EnvironmentSetupError

__all__ = ["expand", "fill", "unset"]

_VARIABLE = re.compile(r"\$\{(?P<plain>\{)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}(?(plain)\})")


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
    filled = fill(text, {name: value for name, value in environ.items() if value})
    if filled == "~" or filled.startswith("~/"):
        filled = (environ.get("HOME") or os.path.expanduser("~")) + filled[1:]
    return folder / filled


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
        lambda found: f"${{{found['name']}}}" if found["plain"] else environ[found["name"]], text
    )


def unset(text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name the variables of a text that are not set, each once."""
    names = (found["name"] for found in _VARIABLE.finditer(text) if not found["plain"])
    return tuple(dict.fromkeys(name for name in names if name not in environ))
