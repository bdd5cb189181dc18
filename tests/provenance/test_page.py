"""docs/RANDOMIZATION.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from isthmus import provenance
from isthmus.provenance import canonical
from isthmus.provenance.plain import MAX_DEPTH, MAX_DIGITS
from isthmus.record.drift.clusters import SCORE


def test_the_page_has_the_bounds_the_form_and_the_score(project_root: Path) -> None:
    page = (project_root / "docs" / "RANDOMIZATION.md").read_text(encoding="utf-8")
    words = " ".join(page.split())
    assert f"up to {provenance.MAX_SENT_VALUES} values travels once" in words
    assert f"more than {MAX_DEPTH} levels, more than {canonical.MAX_BYTES >> 20} MiB" in words
    assert f"of up to {MAX_DIGITS} characters" in words
    assert f"*{SCORE}*" in words
    assert canonical.PREFIX.decode().replace("\n", "\\n") in page


def test_the_page_and_the_code_draw_the_same_form(project_root: Path) -> None:
    page = (project_root / "docs" / "RANDOMIZATION.md").read_text(encoding="utf-8")
    tags = r'"([NTFDISLM])"'
    drawn = re.findall(tags, page.partition("form   =")[2].partition("```")[0])
    coded = re.findall(tags, (canonical.__doc__ or "").partition("form      =")[2])
    assert drawn == coded == list("NTFDISLM")


def test_the_page_names_what_a_program_uses(project_root: Path) -> None:
    page = (project_root / "docs" / "RANDOMIZATION.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.M))
    assert named == {"randomization_hash", "batch_hashes", "first_difference", "plain"}
    assert all(hasattr(provenance, name) for name in named)
