"""Interpreters are run once each, and again when they are another file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.probes import ProbeCache, identity, read_facts, write_facts


class Asked:
    """Answers for interpreters, and counts."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.works = True

    def __call__(self, path: Path, found: str) -> Interpreter | None:
        self.paths.append(path)
        if not self.works:
            return None
        return Interpreter(path.resolve(), (3, 11, 7), "CPython", "cpython-311", True, found)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python3.11"
    path.write_text("one")
    return path


def test_once_also_for_whoever_comes_later(tmp_path: Path, python: Path, asked: Asked) -> None:
    file = tmp_path / "kept" / "interpreters.json"
    first = ProbeCache(file, asked)(python, "pyenv")
    assert first is not None
    assert ProbeCache(file, asked)(python, "pyenv") == first
    # Where it was found is the question's, not the answer's.
    assert ProbeCache(file, asked)(python, "PATH") == Interpreter(
        first.path, first.version, first.implementation, first.soabi, first.has_venv, "PATH"
    )
    assert asked.paths == [python]


def test_a_link_is_what_it_leads_to(tmp_path: Path, python: Path, asked: Asked) -> None:
    cache = ProbeCache(tmp_path / "kept.json", asked)
    link = tmp_path / "python3"
    link.symlink_to(python)
    assert cache(link) == cache(python)
    assert len(asked.paths) == 1
    other = tmp_path / "python3.12"
    other.write_text("other")
    link.unlink()
    link.symlink_to(other)
    cache(link)
    assert len(asked.paths) == 2


@pytest.mark.parametrize("change", ["size", "time"])
def test_another_file_is_asked_again(
    tmp_path: Path, python: Path, asked: Asked, change: str
) -> None:
    cache = ProbeCache(tmp_path / "kept.json", asked)
    cache(python)
    before = python.stat()
    if change == "size":
        python.write_text("larger")
        os.utime(python, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(python, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    cache(python)
    assert len(asked.paths) == 2


def test_one_that_is_gone_is_not_answered_from_memory(
    tmp_path: Path, python: Path, asked: Asked
) -> None:
    cache = ProbeCache(tmp_path / "kept.json", asked)
    cache(python)
    python.unlink()
    asked.works = False
    assert cache(python) is None


def test_failures_are_kept_until_they_are_forgotten(
    tmp_path: Path, python: Path, asked: Asked
) -> None:
    cache = ProbeCache(tmp_path / "kept.json", asked)
    assert not cache.forget_failures()
    asked.works = False
    assert cache(python) is None and cache(python) is None
    assert len(asked.paths) == 1
    asked.works = True
    assert cache.forget_failures()
    assert cache(python) is not None
    assert not cache.forget_failures()


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"version": 2}', '{"version": 1, "interpreters": []}', "answer", "no answer"],
)
def test_damage_is_mended(tmp_path: Path, python: Path, asked: Asked, damage: str) -> None:
    file = tmp_path / "kept.json"
    first = ProbeCache(file, asked)(python)
    if damage.endswith("answer"):
        facts = json.loads(file.read_text())
        facts["interpreters"][str(python)]["answer"] = {"version": 3}
        if damage == "no answer":
            del facts["interpreters"][str(python)]["answer"]
        damage = json.dumps(facts)
    file.write_text(damage)
    assert ProbeCache(file, asked)(python) == first
    assert len(asked.paths) == 2
    assert ProbeCache(file, asked)(python) == first
    assert len(asked.paths) == 2


def test_facts_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    write_facts(file, {"one": 1})
    with pytest.raises(TypeError):
        write_facts(file, {"two": object()})
    assert read_facts(file) == {"one": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_who_is_not_there_is_nobody(tmp_path: Path) -> None:
    assert identity(tmp_path / "nothing") is None
    assert read_facts(tmp_path / "nothing") == {}
