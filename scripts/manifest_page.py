"""The parts of docs/MANIFEST.md that the code knows better: the tables of keys and placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from isthmus.runtimes.manifest.keys import Key, tables
from isthmus.runtimes.manifest.kinds import KINDS
from isthmus.runtimes.placeholders import GENERAL, PID

PAGE = Path(__file__).resolve().parent.parent / "docs" / "MANIFEST.md"
BLOCK = re.compile(r"(<!-- generated: ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def manifest_page() -> str:
    """The page as it is, with its generated parts written anew."""
    return BLOCK.sub(_filled, PAGE.read_text(encoding="utf-8"))


def _filled(found: re.Match[str]) -> str:
    return f"{found[1]}{parts()[found[2]]}\n{found[3]}"


def parts() -> dict[str, str]:
    """Every generated part by its name: a table's header, "top", or "placeholders"."""
    keys = {table.header or "top": _keys(table.keys) for table in tables()}
    return {**keys, "placeholders": _placeholders()}


def _keys(keys: Iterable[Key]) -> str:
    return _table(
        "| key | value | default | |",
        ((f"`{key.name}`", _value(key), _default(key), _sentence(key.help)) for key in keys),
    )


def _value(key: Key) -> str:
    if key.table is None:
        return KINDS[key.kind].says
    return f"[table](#{_anchor(key.table.header)})" + ("s" if key.named else "")


def _anchor(header: str) -> str:
    return re.sub(r"[^\w\- ]", "", header.lower())


def _default(key: Key) -> str:
    return "required" if key.required else f"`{key.default}`" if key.default else ""


def _sentence(text: str) -> str:
    return text.replace("|", "\\|")


def _placeholders() -> str:
    rows = [(f"`{{{name}}}`", help_) for name, help_ in GENERAL.items()]
    rows += [
        (f"`{{NAME.{PID}}}`", "process id of process NAME"),
        ("`{NAME.GROUP}`", "what the named group of a `ready` line of process NAME matched"),
    ]
    return _table("| placeholder | is |", rows)


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
