from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from isthmus.record import facts as facts_module
from isthmus.record import git_facts, host_facts, interpreter_facts


def test_the_interpreter_tells_of_itself() -> None:
    facts = interpreter_facts()
    assert facts["python"] == platform.python_version()
    assert "numpy" in facts["packages"]
    assert json.loads(json.dumps(facts)) == facts


def test_another_python_tells_in_one_line_and_needs_no_numpy_for_it() -> None:
    script = Path(facts_module.__file__)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["python"] == platform.python_version()


def test_the_host() -> None:
    assert host_facts()["cores"] >= 1


def test_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert git_facts(tmp_path) is None
