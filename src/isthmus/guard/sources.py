"""Read a Python file or a notebook into syntax trees, and find what its comments allow."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path
from typing import Any

__all__ = ["Unit", "UnreadableError", "read_units"]

_ALLOW = re.compile(r"#\s*guard:\s*allow\b")
_MAGIC = re.compile(r"^(\s*)(?:[%!?].*|.*\?\??\s*)$", re.MULTILINE)
_MAGIC_VALUE = re.compile(r"^(\s*[\w.,\s]+=\s*)[%!].*$", re.MULTILINE)
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%pypy", "%%python3", "%%python")


class UnreadableError(Exception):
    """A file cannot be read as Python.

    Attributes:
        line: where, from 1; 0 for the file as a whole.
        column: from 1, or 0.
        cell: of a notebook, from 1; 0 of a file.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, cell: int = 0) -> None:
        super().__init__(message)
        self.line, self.column, self.cell = line, column, cell


@dataclass(frozen=True, slots=True)
class Unit:
    """A file, or one cell of a notebook.

    Attributes:
        cell: its number among the notebook's code cells, from 1; 0 for a file.
        tree: its syntax.
        lines: its text.
        allowed: numbers of the lines, from 1, with a comment `# guard: allow`.
    """

    cell: int
    tree: ast.Module
    lines: tuple[str, ...]
    allowed: frozenset[int]

    def column(self, line: int, offset: int) -> int:
        """Turn an offset in bytes, as syntax trees have it, into a column from 1."""
        return len(self.lines[line - 1].encode()[:offset].decode(errors="replace")) + 1


def read_units(path: Path) -> tuple[Unit, ...]:
    """Read a file: one unit of a Python file, one for each code cell of a notebook.

    Raises:
        UnreadableError: it cannot be read, decoded or parsed.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise UnreadableError(f"cannot be read: {exc.strerror}") from exc
    if path.suffix == ".ipynb":
        return tuple(_cells(data))
    try:
        text = decode_source(data)
    except (SyntaxError, UnicodeDecodeError, LookupError) as exc:
        raise UnreadableError(f"cannot be decoded: {exc}") from exc
    return (_unit(text),)


def _unit(text: str, cell: int = 0) -> Unit:
    # A notebook may await at its top level.
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if cell else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the code's own, such as of a wrong escape
            tree = compile(text, "<unknown>", "exec", flags, dont_inherit=True)
    except SyntaxError as exc:
        line, column = max(exc.lineno or 0, 0), max(exc.offset or 0, 0)
        raise UnreadableError(f"invalid Python: {exc.msg}", line, column, cell) from exc
    except ValueError as exc:  # null bytes, where that is not a SyntaxError
        raise UnreadableError(f"invalid Python: {exc}", cell=cell) from exc
    except (RecursionError, MemoryError) as exc:
        raise UnreadableError("nested too deeply to be parsed", cell=cell) from exc
    return Unit(cell, tree, tuple(re.split("\r\n|\r|\n", text)), _allowed(text))


def _allowed(text: str) -> frozenset[int]:
    if not _ALLOW.search(text):
        return frozenset()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    try:
        return frozenset(
            token.start[0]
            for token in tokens
            if token.type == tokenize.COMMENT and _ALLOW.search(token.string)
        )
    except (tokenize.TokenError, SyntaxError) as exc:  # what parses has tokens, but for its tail
        raise UnreadableError(f"invalid Python: {exc}") from exc


def _cells(data: bytes) -> Iterator[Unit]:
    try:
        notebook = json.loads(data)
        cells, language = notebook["cells"], _language(notebook.get("metadata", {}))
        sources = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, RecursionError) as exc:
        raise UnreadableError(f"invalid notebook: {exc}") from exc
    except (AttributeError, KeyError, TypeError) as exc:
        raise UnreadableError("invalid notebook: expected cells, as nbformat 4 has them") from exc
    if language != "python":
        return
    for number, source in enumerate(sources, 1):
        if not source.startswith("%%") or source.startswith(_PYTHON_CELLS):
            yield _cell(source, number)


def _cell(source: str, number: int) -> Unit:
    try:
        return _unit(source, number)
    except UnreadableError:
        # A shell line or a magic is no Python, and imports nothing.
        plain = _MAGIC.sub(r"\1pass", _MAGIC_VALUE.sub(r"\1None", source))
        if plain == source:
            raise
        return _unit(plain, number)


def _source(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _language(metadata: Mapping[str, Any]) -> str:
    said = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get(
        "language"
    )
    return str(said or "python").lower()
