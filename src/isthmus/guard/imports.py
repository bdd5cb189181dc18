"""Every import that a program's text asks for, wherever in it and however it is spelled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .bindings import FUNCTIONS, SCOPES, Scope
from .folding import Folder
from .sources import Unit

__all__ = ["Import", "list_imports"]

# Calls that import -> the argument with the module's name: its place, and its keyword.
_CALLS = {
    "importlib.import_module": (0, "name"),
    "importlib.__import__": (0, "name"),
    "builtins.__import__": (0, "name"),
    "pkgutil.resolve_name": (0, "name"),
    "pytest.importorskip": (0, "modname"),
    "runpy.run_module": (0, "mod_name"),
}
_CALL_ENDS = {name.rpartition(".")[2] for name in _CALLS}
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)  # what statements are in
_TYPE_CHECKING = {"typing.TYPE_CHECKING", "typing_extensions.TYPE_CHECKING"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import.

    Attributes:
        module: its dotted name; of a relative import what follows the dots.
        names: what is taken from it, in `from MODULE import NAMES`.
        level: dots before it.
        is_whole: False if `module` is known only up to a point, which may be "".
        cell: of a notebook, from 1; 0 of a file.
        line: from 1.
        column: from 1.
        function: the function that imports when it is called, such as "Robot.load"; "" if at once.
    """

    module: str
    names: tuple[str, ...]
    level: int
    is_whole: bool
    cell: int
    line: int
    column: int
    function: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the program a node is, and which words its text has: most have none to look for."""

    scope: Scope
    has_calls: bool
    has_types: bool
    function: str = ""
    owner: str = ""


def list_imports(units: Sequence[Unit]) -> list[Import]:
    """List what a file, or the cells of a notebook, import; types-only and allowed ones left out.

    A relative import by name, such as `import_module(".tools", __package__)`, is left out too.
    """
    text = "\n".join(line for unit in units for line in unit.lines)
    calls = any(end in text for end in _CALL_ENDS)
    top = _Place(Scope([unit.tree for unit in units]), calls, "TYPE_CHECKING" in text)
    found = dict.fromkeys(each for unit in units for each in _imports(unit, top))
    return sorted(found, key=lambda each: (each.cell, each.line, each.column))


def _imports(unit: Unit, top: _Place) -> Iterator[Import]:
    # Not recursive: an expression may be deeper than Python's own stack.
    waiting: list[tuple[ast.AST, _Place]] = [(unit.tree, top)]
    while waiting:
        node, place = waiting.pop()
        for module, names, level, is_whole in _asked(node, place):
            assert isinstance(node, ast.stmt | ast.expr)  # noqa: S101
            if unit.allowed.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1)):
                column = unit.column(node.lineno, node.col_offset)
                where = (unit.cell, node.lineno, column, place.function)
                yield Import(module, names, level, is_whole, *where)
        inside = _children(node, place)
        waiting += inside if place.has_calls else (e for e in inside if isinstance(e[0], _BLOCKS))


def _children(node: ast.AST, place: _Place) -> Iterator[tuple[ast.AST, _Place]]:
    """List what is inside a node, and where that is; what is never run is left out."""
    if isinstance(node, ast.If):
        yield node.test, place
        types_only = _is_types_only(node.test, place.scope) if place.has_types else None
        yield from ((each, place) for each in ([] if types_only is True else node.body))
        yield from ((each, place) for each in ([] if types_only is False else node.orelse))
    elif isinstance(node, SCOPES):
        inside = _enter(node, place)
        for field, value in ast.iter_fields(node):
            where = inside if field == "body" else place  # decorators and defaults run at once
            parts = value if isinstance(value, list) else [value]
            yield from ((each, where) for each in parts if isinstance(each, ast.AST))
    else:
        yield from ((each, place) for each in ast.iter_child_nodes(node))


def _enter(node: ast.AST, place: _Place) -> _Place:
    name = place.owner + getattr(node, "name", "lambda")
    inside = replace(place, scope=Scope([node], place.scope), owner=f"{name}.")
    return replace(inside, function=name) if isinstance(node, FUNCTIONS) else inside


def _is_types_only(test: ast.expr, scope: Scope) -> bool | None:
    """True for `if TYPE_CHECKING`, False for `if not TYPE_CHECKING`, None for anything else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        opposite = _is_types_only(test.operand, scope)
        return None if opposite is None else not opposite
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return True if any(_is_types_only(each, scope) for each in test.values) else None
    if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING":  # also one that is set to False
        return True
    return True if Folder().names(test, scope) & _TYPE_CHECKING else None


def _asked(node: ast.AST, place: _Place) -> Iterator[tuple[str, tuple[str, ...], int, bool]]:
    """Tell what one node imports: module, names, level, and whether all of the name is known."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, (), 0, True) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield node.module or "", names, node.level, True
    elif place.has_calls and isinstance(node, ast.Call) and _may_import(node.func):
        for called in sorted(Folder().names(node.func, place.scope) & _CALLS.keys()):
            for text, is_whole in _module_texts(node, called, place.scope):
                if text or not is_whole:
                    yield text, (), 0, is_whole


def _may_import(called: ast.expr) -> bool:
    """Whether it is worth resolving: a name may be an alias, an attribute has its own name."""
    return isinstance(called, ast.Name) or getattr(called, "attr", "") in _CALL_ENDS


def _module_texts(node: ast.Call, called: str, scope: Scope) -> Iterator[tuple[str, bool]]:
    argument = _argument(node, *_CALLS[called])
    if argument is None:
        if any(isinstance(each, ast.Starred) for each in node.args) or node.keywords:
            yield "", False
        return
    for text, is_whole in Folder().texts(argument, scope):
        if not text.startswith("."):
            yield text.partition(":")[0], is_whole
        elif (package := _argument(node, 1, "package")) is not None:
            yield from _absolute(text, is_whole, package, scope)


def _argument(node: ast.Call, place: int, keyword: str) -> ast.expr | None:
    if len(node.args) > place:
        before = node.args[: place + 1]
        return None if any(isinstance(each, ast.Starred) for each in before) else before[-1]
    return next((each.value for each in node.keywords if each.arg == keyword), None)


def _absolute(
    text: str, is_whole: bool, package: ast.expr, scope: Scope
) -> Iterator[tuple[str, bool]]:
    """Resolve `import_module(".usd", "omni")`; the package's own name is no other's."""
    name = text.lstrip(".")
    up = len(text) - len(name) - 1
    for above, is_known in Folder().texts(package, scope):
        if is_known and len(parts := above.split(".")) > up:
            yield ".".join([*parts[: len(parts) - up], *([name] if name else [])]), is_whole
