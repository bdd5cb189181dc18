"""docs/CONTRACT.md: its tables are the code's, its examples work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from isthmus.cli.contract import _ACTIONS
from isthmus.contract import Contract
from isthmus.contract.fields import FALLBACKS, SEMANTICS
from isthmus.contract.limits import MEANINGS
from isthmus.contract.text import loads
from isthmus.contract.units import UNITS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "CONTRACT.md").read_text(encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def code(text: str) -> str:
    return f"`{text}`" if text else '`""`'


def cell(text: str) -> str:
    return text.replace("|", "\\|") or "nothing; refused"


TABLES = {
    "semantics": table(
        ["semantics", "fallbacks"],
        [[code(name), ", ".join(map(code, allowed))] for name, allowed in SEMANTICS.items()],
    ),
    "fallbacks": table(
        ["fallback", "applied"], [[code(name), text] for name, text in FALLBACKS.items()]
    ),
    "limits": table(
        ["semantics", "`low`, `high`", "`max_rate`", "`max_acceleration`"],
        [[code(name), *map(cell, texts)] for name, texts in MEANINGS.items()],
    ),
    "units": table(["unit", "of"], [[code(name), text] for name, text in UNITS.items()]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_the_codes(name: str) -> None:
    assert f"<!-- table: {name} -->\n{TABLES[name]}\n" in PAGE


def test_the_example_file_is_a_contract_and_the_code_makes_the_same_kind() -> None:
    (json_block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert loads(json_block).action[0].measured_position == "q"
    (python_block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(python_block, "docs/CONTRACT.md", "exec"), names)
    assert isinstance(names["contract"], Contract)


def test_every_subcommand_is_on_the_page() -> None:
    for name, (_, _, help_) in _ACTIONS.items():
        assert f"isthmus contract {name}" in PAGE
        assert help_.split()[0] in PAGE
