from __future__ import annotations

import json
import platform
from pathlib import Path

from isthmus import __version__
from isthmus.record import git_facts, host_facts, interpreter_facts


def test_the_interpreter_tells_of_itself() -> None:
    facts = interpreter_facts()
    assert facts["python"] == platform.python_version()
    assert facts["packages"]["isthmus"] == __version__ and "numpy" in facts["packages"]
    assert json.loads(json.dumps(facts)) == facts


def test_the_host() -> None:
    assert host_facts()["cores"] >= 1


def test_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert git_facts(tmp_path) is None
