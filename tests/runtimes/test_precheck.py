"""What is missing is said before anything is built, of all runtimes at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.precheck import check_there
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

ENVIRON = {"PATH": os.defpath, "HOME": "/nowhere"}


def runtime(name: str, *python: str, **settings: tuple[str, ...]) -> RuntimeSettings:
    return RuntimeSettings(name, python, **settings)  # type: ignore[arg-type]


def test_what_leads_nowhere_is_named_at_once(tmp_path: Path) -> None:
    runtimes = [
        runtime("sim", "${ISAAC_SIM_ROOT}"),
        runtime("policy", sys.executable),
        runtime("tool", "/nowhere", "/nowhere/else"),
    ]
    with pytest.raises(EnvironmentSetupError) as raised:
        check_there(runtimes, StateFolder.beside(tmp_path), ENVIRON)
    said = str(raised.value)
    assert "[runtime.sim]" in said and "export ISAAC_SIM_ROOT=" in said
    assert "[runtime.tool]" in said and "[runtime.policy]" not in said


def test_what_would_be_built_or_downloaded_is_left_for_later(tmp_path: Path) -> None:
    python = os.path.realpath(sys.executable)
    runtimes = [
        runtime("range", ">=4"),
        runtime("either", "/nowhere", "3.99"),
        runtime("made", python, requirements=("nowhere-to-be-had",)),
    ]
    check_there(runtimes, StateFolder.beside(tmp_path), ENVIRON)
    assert not (tmp_path / ".isthmus" / "envs" / "made").exists()


def test_a_variable_that_a_clean_environment_has_not_still_names_a_python(tmp_path: Path) -> None:
    environ = {**ENVIRON, "CONDA_PREFIX": os.path.dirname(os.path.dirname(sys.executable))}
    check_there([runtime("sim", "${CONDA_PREFIX}")], StateFolder.beside(tmp_path), environ)


def test_a_simulator_that_somebody_else_must_build_is_missing(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "build.sh").touch()
    with pytest.raises(EnvironmentSetupError, match="run its build.sh"):
        check_there([runtime("sim", str(tmp_path))], StateFolder.beside(tmp_path), ENVIRON)
