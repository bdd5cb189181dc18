"""docs/TROUBLESHOOTING.md quotes what programs say, so that a reader finds their line."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from isthmus.runtimes.faults import FAULTS, Fault

# What may stand where the page writes "…".
FILLINGS = ("1", "a", "A1", "/a/1", "_1.a")


@pytest.fixture
def page(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(project_root / "scripts"))
    yield importlib.import_module("troubleshooting_page")
    sys.modules.pop("troubleshooting_page")


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.id)
def test_every_text_of_the_index_is_found_by_the_pattern_it_stands_for(
    page: ModuleType, row: Fault
) -> None:
    for pattern in row.patterns:
        texts = list(page.readable(pattern))
        assert texts
        for text in texts:
            assert any(re.search(pattern, text.replace("…", filling)) for filling in FILLINGS), text
            assert text in page.troubleshooting_page()


def test_every_fault_has_its_example_causes_and_steps(page: ModuleType) -> None:
    text = page.troubleshooting_page()
    for row in FAULTS:
        assert row.example in text
        assert row.causes in text
        assert f"(`{row.id}`)" in text
