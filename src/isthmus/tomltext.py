"""TOML, where Python can read it: from 3.11 on by itself, on 3.10 with `tomli`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from isthmus.errors import MissingDependencyError

__all__ = ["loads"]


def loads(text: str) -> dict[str, Any]:
    """Parse a TOML document.

    Raises:
        ValueError: malformed; the message ends in line and column.
        MissingDependencyError: this Python has no reader.
    """
    for name in ("tomllib", "tomli"):
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            continue
        parsed: dict[str, Any] = module.loads(text)
        return parsed
    raise MissingDependencyError(
        f"Python {sys.version_info.major}.{sys.version_info.minor} cannot read TOML: "
        "`pip install tomli`, or use Python 3.11 or newer"
    )
