"""The how-to pages: every isthmus.toml in them is one, and says what its page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isthmus.doctor.kinds import KINDS, finding
from isthmus.runtimes.faults import FAULTS, explain
from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.plan import plan

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs" / "howto").glob("*.md"))
    for number, block in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]
EXPLAINED = {fault.id for fault in FAULTS}
"""Faults that are known by their words; the others are seen by looking."""
ENVIRON = {"HOME": "/home/user", "ISAAC_SIM_ROOT": "/home/user/isaacsim", "PATH": "/usr/bin"}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_manifest_in_a_page_is_one(block: str, tmp_path: Path) -> None:
    path = tmp_path / "isthmus.toml"
    path.write_text(block, encoding="utf-8")
    manifest = load_manifest(path, ENVIRON)
    assert manifest.runtimes
    for name in manifest.runs:
        assert plan(manifest, name).processes


def test_the_faults_that_pages_name_are_those_of_the_doctor() -> None:
    named = [
        fault
        for page in sorted((ROOT / "docs" / "howto").glob("*.md"))
        for fault in re.findall(r"^\|[^|]*\| `([a-z0-9-]+)` \|", page.read_text("utf-8"), re.M)
    ]
    assert len(named) > 15
    assert set(named) <= set(KINDS)


def test_what_pages_show_of_the_doctor_is_what_it_says() -> None:
    shown = [
        line
        for page in sorted((ROOT / "docs" / "howto").glob("*.md"))
        for line in re.findall(r"^(?:FAULT|NOTE)  .*$", page.read_text("utf-8"), re.M)
    ]
    assert shown
    for line in shown:
        level, where, title, kind = re.fullmatch(r"(\w+)  (.*?): (.*)  \[(.*)\]", line).groups()  # type: ignore[union-attr]
        found = finding(kind, where, ["evidence"])
        assert (found.level.upper(), found.title) == (level, title)


def test_what_pages_quote_from_a_log_is_explained_as_they_say() -> None:
    quoted = [
        row
        for page in sorted((ROOT / "docs" / "howto").glob("*.md"))
        for row in re.findall(
            r"^\| `([^`]+)`[^|]*\| `([a-z0-9-]+)` \|", page.read_text("utf-8"), re.M
        )
        if row[1] in EXPLAINED
    ]
    assert len(quoted) > 8
    for words, fault in quoted:
        found = [match.fault.id for match in explain(words.replace("...", ".timeline"))]
        assert fault in found, (words, found)
