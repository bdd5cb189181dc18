"""Contracts as text: JSON, and TOML where this Python can read it. No files are opened here.

Text is bounded in size and depth before it is parsed, and refused wherever two readers could
understand two things: a key twice in one object, a number that is not finite, text that is not
UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .. import strictjson, tomltext
from ..errors import ContractError, MissingDependencyError
from .checks import brief, check_choice
from .contract import Contract

__all__ = ["FORMATS", "MAX_DEPTH", "MAX_TEXT", "dumps", "loads", "parse"]

MAX_TEXT = 1 << 20
"""Longest text that is parsed, in bytes; the largest contract is far smaller."""

MAX_DEPTH = 32
"""Deepest nesting that is parsed; a contract in a manifest needs 6."""


def loads(text: str | bytes, format: str = "json") -> Contract:
    """Read a contract from text.

    Args:
        text: the whole document; bytes are UTF-8.
        format: one of `FORMATS`.

    Raises:
        ContractError: too long, too deep, malformed, ambiguous, or no contract.
        MissingDependencyError: TOML on a Python that cannot read it.
    """
    return Contract.from_dict(parse(text, format))


def dumps(contract: Contract) -> str:
    """Write a contract as JSON: one line a key, one line a field, a newline at the end."""
    entries = [f"  {_inline(key)}: {_block(value)}" for key, value in contract.to_dict().items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def parse(text: str | bytes, format: str = "json") -> dict[str, Any]:
    """Read one object of strictly understood values from text.

    Args:
        text: the whole document; bytes are UTF-8.
        format: one of `FORMATS`.

    Raises:
        ContractError: too long, too deep, malformed, ambiguous, or no object.
        MissingDependencyError: TOML on a Python that cannot read it.
    """
    check_choice("format", format, FORMATS)
    source = _decoded(text)
    _check_depth(source)
    try:
        value = _READERS[format](source)
    except RecursionError:
        raise ContractError(f"{format}: nested deeper than {MAX_DEPTH}") from None
    except ValueError as exc:
        raise ContractError(f"no valid {format}: {str(exc)[:200]}") from exc
    except ModuleNotFoundError as exc:
        raise MissingDependencyError(f"{exc}; or write the contract as JSON") from exc
    if not isinstance(value, dict):
        raise ContractError(f"{format}: expected an object, got {type(value).__name__}")
    _check_values(value, MAX_DEPTH)
    return value


def _decoded(text: str | bytes) -> str:
    if not isinstance(text, (str, bytes)):
        raise ContractError(f"expected text, got {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise ContractError(f"text of {len(text)} bytes; at most {MAX_TEXT} are read")
    try:
        return text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ContractError(f"expected UTF-8 text: {exc.reason} at byte {exc.start}") from exc


# Strings and TOML comments are skipped whole, so that only real brackets count. Every alternative
# ends without its closing quote too: nothing is scanned twice, whatever the text.
_TOKENS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*(?:""")?'
    r"|'''(?:[^']|'(?!''))*(?:''')?"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*"
    r"|[][{}.=,\n]",
    re.DOTALL,
)


def _check_depth(text: str) -> None:
    depth = dots = 0
    for token in _TOKENS.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        # TOML nests by dotted keys too: the parser's memory is quadratic in the length of one.
        dots = dots + 1 if first == "." else 0 if first in "=,\n" else dots
        if depth > MAX_DEPTH or dots > MAX_DEPTH:
            raise ContractError(f"nested deeper than {MAX_DEPTH}")


def _check_values(value: object, depth: int) -> None:
    """Refuse what only TOML brings: inf, nan, huge integers, and tables nested by dotted keys."""
    if depth < 0:
        raise ContractError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ContractError(f"numbers must be finite, got {value}")
    if isinstance(value, int) and value.bit_length() > 4 * strictjson.MAX_DIGITS:
        raise ContractError(f"number too long: {brief(value)}")
    if isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            _check_values(entry, depth - 1)


_READERS = {"json": strictjson.loads, "toml": tomltext.loads}
FORMATS: tuple[str, ...] = tuple(_READERS)


def _inline(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _block(value: object) -> str:
    """A list of fields or a mapping of limits, one entry a line; anything else inline."""
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {_inline(entry)}" for entry in value) + "\n  ]"
    if isinstance(value, Mapping) and value:
        lines = (f"    {_inline(key)}: {_inline(entry)}" for key, entry in value.items())
        return "{\n" + ",\n".join(lines) + "\n  }"
    return _inline(value)
