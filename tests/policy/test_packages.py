"""Advice about missing packages names packages that an index has."""

from __future__ import annotations

from isthmus.policy.packages import how_to_install


def test_both_ways_are_said():
    said = how_to_install("mujoco", "gymnasium")
    assert "`pip install mujoco gymnasium` in this Python" in said
    assert 'add "mujoco", "gymnasium" to `requirements` of its [runtime.NAME]' in said


def test_nobody_is_sent_to_an_index_for_an_extra_of_isthmus(project_root):
    pages = [*(project_root / "docs").rglob("*.md"), *(project_root / "examples").rglob("*.md")]
    told = [*pages, *(project_root / "src").rglob("*.py"), *project_root.glob("*.md")]
    assert len(told) > 100
    wrong = [path for path in told if "pip install isthmus[" in path.read_text(encoding="utf-8")]
    assert wrong == []
