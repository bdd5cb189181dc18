"""TOML, where Python can read it: from 3.11 on by itself, on 3.10 with `tomli`.

Whoever reads turns what is raised here into an error of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["loads"]


def loads(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Parse a TOML document.

    Args:
        text: the document.
        parse_float: makes a number of what is written with a point or an exponent.

    Raises:
        ValueError: malformed; the message ends in line and column.
        ModuleNotFoundError: this Python has no reader; says what to do.
    """
    for name in ("tomllib", "tomli"):
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            continue
        parsed: dict[str, Any] = module.loads(text, parse_float=parse_float)
        return parsed
    raise ModuleNotFoundError(
        f"Python {sys.version_info.major}.{sys.version_info.minor} cannot read TOML: "
        "`pip install tomli`, or use Python 3.11 or newer"
    )
