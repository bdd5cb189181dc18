"""The how-to pages: every isthmus.toml in them is one, and says what its page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.plan import plan

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs" / "howto").glob("*.md"))
    for number, block in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]
ENVIRON = {"HOME": "/home/user", "ISAAC_SIM_ROOT": "/home/user/isaacsim", "PATH": "/usr/bin"}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_manifest_in_a_page_is_one(block: str, tmp_path: Path) -> None:
    path = tmp_path / "isthmus.toml"
    path.write_text(block, encoding="utf-8")
    manifest = load_manifest(path, ENVIRON)
    assert manifest.runtimes
    for name in manifest.runs:
        assert plan(manifest, name).processes
