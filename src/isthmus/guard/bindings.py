"""Which names a program binds, where, and to what: read from its text, nothing is run.

A name is looked up in the function it is used in, then in those around it, then in the module, as
Python does; a name that is bound in several places stands for all that it may be.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

__all__ = ["FUNCTIONS", "SCOPES", "Bound", "Scope"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ClassDef)

Bound = ast.expr | str | None
"""What a name is bound to: an expression (`Starred`: an item of it), what was imported as a dotted
name, or something that is not understood."""


class Scope:
    """The names bound in one module, class or function, and where to look further.

    Args:
        bodies: the syntax trees of the scope; several for the cells of a notebook.
        outer: the scope around it.
    """

    def __init__(self, bodies: Sequence[ast.AST], outer: Scope | None = None) -> None:
        self.outer = outer
        self.is_class = isinstance(bodies[0], ast.ClassDef) if bodies else False
        self._bodies = bodies
        self._bound: dict[str, list[Bound]] | None = None

    @property
    def bound(self) -> dict[str, list[Bound]]:
        """By name, what it is bound to. Made when it is first asked for: most scopes never are."""
        if self._bound is None:
            self._bound = {}
            for node in (each for body in self._bodies for each in _own_nodes(body)):
                bind = _BINDINGS.get(type(node))
                for name, value in bind(node) if bind else ():
                    self._bound.setdefault(name, []).append(value)
        return self._bound

    def find(self, name: str) -> tuple[Sequence[Bound], Scope] | None:
        """Look a name up; None if nobody in this program binds it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope.bound[name], scope
            scope = scope.outer
        return None


def _own_nodes(top: ast.AST) -> Iterator[ast.AST]:
    """Walk a scope without the scopes inside it, which are yielded and not entered."""
    waiting = list(_inside(top))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, SCOPES):
            waiting += ast.iter_child_nodes(node)


def _inside(top: ast.AST) -> Iterator[ast.AST]:
    if isinstance(top, FUNCTIONS):
        yield from ast.walk(top.args)
        yield from top.body if isinstance(top.body, list) else [top.body]
    elif isinstance(top, ast.ClassDef):
        yield from top.body
    else:
        yield from ast.iter_child_nodes(top)


Bindings = Iterator[tuple[str, Bound]]


def _of_import(node: ast.Import) -> Bindings:
    for alias in node.names:
        top = alias.name.partition(".")[0]
        yield (alias.asname, alias.name) if alias.asname else (top, top)


def _of_import_from(node: ast.ImportFrom) -> Bindings:
    for alias in node.names:
        known = node.module if node.module and not node.level else ""
        yield alias.asname or alias.name, f"{known}.{alias.name}" if known else None


def _of_assign(node: ast.Assign) -> Bindings:
    for target in node.targets:
        yield from _targets(target, node.value)


def _of_value(node: ast.AnnAssign | ast.NamedExpr) -> Bindings:
    if node.value is not None:
        yield from _targets(node.target, node.value)


def _of_loop(node: ast.For | ast.AsyncFor | ast.comprehension) -> Bindings:
    return _targets(node.target, ast.Starred(node.iter, ast.Load()))


def _of_with(node: ast.withitem) -> Bindings:
    if node.optional_vars is not None:
        yield from _targets(node.optional_vars, None)


def _of_arguments(node: ast.arguments) -> Bindings:
    by_place = [*node.posonlyargs, *node.args]
    last = zip(reversed(by_place), reversed(node.defaults), strict=False)
    by_name = zip(node.kwonlyargs, node.kw_defaults, strict=True)
    yield from ((argument.arg, default) for argument, default in (*last, *by_name) if default)


def _of_name(node: ast.FunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs) -> Bindings:
    if node.name:
        yield node.name, None


_BINDINGS: dict[type[ast.AST], Callable[..., Bindings]] = {
    ast.Import: _of_import,
    ast.ImportFrom: _of_import_from,
    ast.Assign: _of_assign,
    ast.AnnAssign: _of_value,
    ast.NamedExpr: _of_value,
    ast.For: _of_loop,
    ast.AsyncFor: _of_loop,
    ast.comprehension: _of_loop,
    ast.AugAssign: lambda node: _targets(node.target, None),
    ast.withitem: _of_with,
    ast.arguments: _of_arguments,
    ast.arg: lambda node: iter([(node.arg, None)]),
    ast.FunctionDef: _of_name,
    ast.AsyncFunctionDef: _of_name,
    ast.ClassDef: _of_name,
    ast.ExceptHandler: _of_name,
    ast.MatchAs: _of_name,
    ast.MatchStar: _of_name,
    ast.MatchMapping: lambda node: iter([(node.rest, None)] if node.rest else []),
}


def _targets(target: ast.expr, value: ast.expr | None) -> Bindings:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        parts: Sequence[ast.expr | None] = [None] * len(target.elts)
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            parts = value.elts
        for each, part in zip(target.elts, parts, strict=True):
            yield from _targets(each, part)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, None)
