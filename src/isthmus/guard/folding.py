"""What an expression comes to, as far as a program's text says: constant text, dotted names.

Folds what people write for a module's name: constants and names for them, concatenation, f-strings,
choices, items of written-out tuples and tables. A text that is known up to a point is a prefix.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product

from .bindings import Scope

__all__ = ["UNKNOWN", "Folder", "Text"]

Text = tuple[str, bool]
"""A text, and whether that is all of it; False: it goes on in a way that is not known."""

UNKNOWN: Text = ("", False)

_MOST_TEXTS = 256
_MOST_STEPS = 5000
_DEEPEST = 50


class Folder:
    """Answers about one expression, within a bounded number of steps: a program may be absurd."""

    def __init__(self) -> None:
        self._steps = 0
        self._depth = 0

    def texts(self, node: ast.expr, scope: Scope) -> list[Text]:
        """List the texts an expression may be; with `UNKNOWN` if it may be something else too."""
        fold = _FOLDS.get(type(node))
        self._steps += 1
        if fold is None or self._steps > _MOST_STEPS or self._depth > _DEEPEST:
            return [UNKNOWN]
        self._depth += 1
        texts = list(dict.fromkeys(islice(fold(self, node, scope), _MOST_TEXTS)))
        self._depth -= 1
        return [*texts, UNKNOWN] if len(texts) == _MOST_TEXTS else texts

    def names(self, node: ast.expr, scope: Scope) -> set[str]:
        """Tell what a name, or `a.b.c`, may be, as dotted names from a module down."""
        self._steps += 1
        if self._steps > _MOST_STEPS or self._depth > _DEEPEST:
            return set()
        self._depth += 1
        names = set(self._names(node, scope))
        self._depth -= 1
        return names

    def _names(self, node: ast.expr, scope: Scope) -> Iterator[str]:
        if isinstance(node, ast.Attribute):
            yield from (f"{each}.{node.attr}" for each in self.names(node.value, scope))
        elif isinstance(node, ast.Name):
            bound, where = scope.find(node.id) or ((f"builtins.{node.id}",), scope)
            for value in bound:
                if isinstance(value, str):
                    yield value
                elif value is not None:
                    yield from self.names(value, where)

    def members(self, node: ast.expr, scope: Scope, *, of_table: bool) -> list[Text]:
        """List the texts that an item of a written-out sequence or table may be.

        Args:
            node: the sequence or table, or a name for it.
            scope: where it stands.
            of_table: True: of a table its values, which `[...]` gives; False: its keys, as a loop.
        """
        items: Sequence[ast.expr | None] = ()
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            items = node.elts
        elif isinstance(node, ast.Dict):
            items = node.values if of_table else node.keys
        elif isinstance(node, ast.Name) and self._depth < _DEEPEST:
            return self._members_of_name(node.id, scope, of_table)
        return [text for item in items if item for text in self.texts(item, scope)] or [UNKNOWN]

    def _members_of_name(self, name: str, scope: Scope, of_table: bool) -> list[Text]:
        self._depth += 1
        bound, where = scope.find(name) or ((None,), scope)
        found: list[Text] = []
        for value in bound:
            known = isinstance(value, ast.expr) and not isinstance(value, ast.Starred)
            found += self.members(value, where, of_table=of_table) if known else [UNKNOWN]  # type: ignore[arg-type]
        self._depth -= 1
        return found

    def _constant(self, node: ast.Constant, scope: Scope) -> Iterator[Text]:
        yield (str(node.value), True) if isinstance(node.value, str | int) else UNKNOWN

    def _name(self, node: ast.Name, scope: Scope) -> Iterator[Text]:
        bound, where = scope.find(node.id) or ((None,), scope)
        for value in bound:
            yield from self.texts(value, where) if isinstance(value, ast.expr) else [UNKNOWN]

    def _f_string(self, node: ast.JoinedStr, scope: Scope) -> Iterator[Text]:
        return _joined([self.texts(part, scope) for part in node.values])

    def _formatted(self, node: ast.FormattedValue, scope: Scope) -> Iterator[Text]:
        as_it_is = node.format_spec is None and node.conversion in (-1, ord("s"))
        yield from self.texts(node.value, scope) if as_it_is else [UNKNOWN]

    def _operation(self, node: ast.BinOp, scope: Scope) -> Iterator[Text]:
        left = self.texts(node.left, scope)
        if isinstance(node.op, ast.Add):
            yield from _joined([left, self.texts(node.right, scope)])
        else:  # of "omni.%s" % name the beginning is known
            is_text = isinstance(node.op, ast.Mod)
            yield from ((text.partition("%")[0] if is_text else "", False) for text, _ in left)

    def _choice(self, node: ast.IfExp, scope: Scope) -> Iterator[Text]:
        yield from self.texts(node.body, scope)
        yield from self.texts(node.orelse, scope)

    def _either(self, node: ast.BoolOp, scope: Scope) -> Iterator[Text]:
        for value in node.values:
            yield from self.texts(value, scope)

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> Iterator[Text]:
        yield from self.texts(node.value, scope)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Iterator[Text]:
        yield from self.members(node.value, scope, of_table=True)

    def _item(self, node: ast.Starred, scope: Scope) -> Iterator[Text]:
        yield from self.members(node.value, scope, of_table=False)

    def _call(self, node: ast.Call, scope: Scope) -> Iterator[Text]:
        # Of "omni.{}".format(name) the beginning is known.
        known = [UNKNOWN]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            known = self.texts(node.func.value, scope)
        yield from ((text.partition("{")[0], False) for text, _ in known)


_FOLDS: dict[type[ast.expr], Callable[..., Iterator[Text]]] = {
    ast.Constant: Folder._constant,
    ast.Name: Folder._name,
    ast.JoinedStr: Folder._f_string,
    ast.FormattedValue: Folder._formatted,
    ast.BinOp: Folder._operation,
    ast.IfExp: Folder._choice,
    ast.BoolOp: Folder._either,
    ast.NamedExpr: Folder._walrus,
    ast.Subscript: Folder._subscript,
    ast.Starred: Folder._item,
    ast.Call: Folder._call,
}


def _joined(parts: Sequence[Sequence[Text]]) -> Iterator[Text]:
    for choice in product(*parts):
        text = ""
        for part, is_whole in choice:
            text += part
            if not is_whole:
                break
        yield text, all(is_whole for _, is_whole in choice)
