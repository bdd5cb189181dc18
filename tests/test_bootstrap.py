"""The script behind `make`: finds Pythons, runs programs in environments, explains itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.runtimes import Environment, find_interpreters


def bootstrap(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(root / "scripts" / "bootstrap.py"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_which_pythons_it_found(project_root: Path) -> None:
    done = bootstrap(project_root, "interpreters")
    assert done.returncode == 0, done.stderr
    assert "{}.{}.{}".format(*sys.version_info[:3]) in done.stdout
    assert done.stdout.splitlines()[-1].startswith("simulator: Python 3.")


@pytest.mark.usefixtures("policy_runtime")
def test_a_program_gets_its_own_arguments_and_gives_its_own_status(project_root: Path) -> None:
    program = "import sys; print(sys.argv[1:]); sys.exit(7)"
    done = bootstrap(project_root, "run", "policy", "--", "-c", program, "--help", "x y")
    assert (done.returncode, done.stdout) == (7, "['--help', 'x y']\n")


def test_both_runtimes_hold_their_own_side_only(
    sim_runtime: Environment, policy_runtime: Environment
) -> None:
    can = "from importlib.util import find_spec as f; print(*[int(bool(f(m))) for m in {}])"
    modules = ("isthmus", "numpy", "mujoco", "gymnasium", "onnxruntime", "torch")

    def present(environment: Environment) -> str:
        command = [str(environment.python), "-I", "-c", can.format(modules)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert present(sim_runtime) == "1 1 1 1 0 0"
    assert present(policy_runtime) == "1 1 0 0 1 0"


def test_a_python_that_is_not_there_is_one_line_and_status_2(project_root: Path) -> None:
    if "3.14" in {each.minor for each in find_interpreters()}:
        pytest.skip("this machine has a Python 3.14")
    done = bootstrap(project_root, "ensure", "dev-3.14")
    assert done.returncode == 2
    assert done.stderr.startswith("isthmus: expected a Python 3.14 on this machine, found 3.")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="make")
def test_make_lists_its_targets(project_root: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(project_root), "help"], capture_output=True, text=True, check=True
    )
    for target in ("demo", "test", "lint", "types", "docs", "bench"):
        assert f"make {target} " in done.stdout
