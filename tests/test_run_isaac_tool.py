"""`scripts/run_isaac_tool.sh`: a script in Isaac's Python, from the worst of shells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from isthmus.runtimes import Environment

from .support.fake_isaac import FakeIsaac, fake_isaac, make_fake_isaac

__all__ = ["fake_isaac", "make_fake_isaac"]  # fixtures

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(project_root: Path, tmp_path: Path) -> Run:
    """Start the script in a folder of its own, with variables and arguments."""
    work = tmp_path / "work"
    work.mkdir()

    def start(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
        return subprocess.run(
            [project_root / "scripts" / "run_isaac_tool.sh", *arguments],
            env={"PATH": path, "HOME": str(tmp_path), **environ},
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return start


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A script that imports what Isaac brings and ends with the status it is told."""
    script = tmp_path / "tool.py"
    script.write_text(
        "import os, re, signal, subprocess, sys\n"
        "import carb, isaacsim, omni.kit, pxr\n"
        "print(re.__file__, sys.executable, sys.argv[1:])\n"
        "subprocess.run([sys.executable, '-c', 'import re, isaacsim'], check=True)\n"
        "if sys.argv[1] == 'killed':\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.exit(int(sys.argv[1]))\n",
        encoding="utf-8",
    )
    return script


def test_in_isaacs_python_with_its_own_status(run: Run, fake_isaac: FakeIsaac, tool: Path) -> None:
    done = run({"ISAAC_SIM_ROOT": str(fake_isaac.root)}, str(tool), "7", "--help", "a b")
    assert done.returncode == 7, done.stderr
    expected = f"{fake_isaac.stdlib}/re/__init__.py {fake_isaac.python} ['7', '--help', 'a b']"
    assert done.stdout.replace("/re.py", "/re/__init__.py").strip() == expected
    assert "There was an error" not in done.stdout + done.stderr


@pytest.mark.parametrize("layout", ["binary", "source"])
@pytest.mark.parametrize("version", ["4.5", "5.1", "6.0"])
def test_every_generation_and_layout(
    run: Run, make_fake_isaac: Callable[..., FakeIsaac], tool: Path, layout: str, version: str
) -> None:
    there = make_fake_isaac(layout=layout, version=version)
    done = run({"ISAAC_SIM_ROOT": str(there.root)}, str(tool), "3")
    assert (done.returncode, done.stderr) == (3, "")


def test_around_every_python(
    run: Run, make_fake_isaac: Callable[..., FakeIsaac], tool: Path, other_python: Environment
) -> None:
    there = make_fake_isaac(other_python.python)
    done = run(there.polluted({"ISAAC_SIM_ROOT": str(there.root)}), str(tool), "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(there.python) in done.stdout


def test_a_signal_is_a_signal(run: Run, fake_isaac: FakeIsaac, tool: Path) -> None:
    done = run({"ISAAC_SIM_ROOT": str(fake_isaac.root)}, str(tool), "killed")
    assert done.returncode == -signal.SIGKILL


def test_from_a_shell_that_breaks_every_python(
    run: Run, fake_isaac: FakeIsaac, tool: Path, newest_python: Environment
) -> None:
    prefix = os.path.realpath(newest_python.python)
    environ = fake_isaac.polluted({"ISAAC_SIM_ROOT": str(fake_isaac.root)})
    environ |= {"PYTHONHOME": str(Path(prefix).parent.parent), "CONDA_PREFIX": "/opt/conda"}
    done = run(environ, str(tool), "0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (None, "ISAAC_SIM_ROOT is not set"),
        ("", "ISAAC_SIM_ROOT is not set"),
        ("/no/such/isaac", "found no folder /no/such/isaac"),
        ("/usr", "holds none of python.sh"),
    ],
)
def test_a_wrong_root_is_said_in_a_line(run: Run, tool: Path, root: str | None, said: str) -> None:
    done = run({} if root is None else {"ISAAC_SIM_ROOT": root}, str(tool), "0")
    assert done.returncode == 2
    assert done.stderr.startswith("isthmus: ") and said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_script_its_usage(run: Run, fake_isaac: FakeIsaac) -> None:
    done = run({"ISAAC_SIM_ROOT": str(fake_isaac.root)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ISAAC_SIM_ROOT=")


def test_a_folder_without_isaac_sim_is_said_in_words_of_what_was_typed(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = run({"ISAAC_SIM_ROOT": str(tmp_path / "empty")}, "tool.py")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f'isthmus: --python "{tmp_path}/empty": it is a folder that holds'
    )
