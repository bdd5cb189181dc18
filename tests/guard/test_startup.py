"""The environment guards a Python and all below it; nothing runs unguarded by mishap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.guard import STARTUP_FOLDER
from isthmus.runtimes import Environment

from .conftest import Run, Write

pytestmark = pytest.mark.cross_python

TRY = "import carb"


def test_children_and_their_children_are_guarded(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    program = TRY
    for _ in range(3):
        call = f"subprocess.call([sys.executable, '-c', {program!r}])"
        program = f"import subprocess, sys; sys.exit({call})"
    done = run(other_python.python, program, simulator)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ForbiddenImportError: carb must not be imported" in done.stderr


def test_isthmus_run_guards_a_runtime_that_forbids(
    other_python: Environment, write: Write, simulator: Path
) -> None:
    program = f"""
        import subprocess, sys
        print(*(subprocess.call([each, "-c", {TRY!r}]) for each in (sys.executable, "python")))
    """
    manifest = f"""
        [runtime.policy]
        python = "{other_python.python}"
        forbid_import = ["carb"]
        pythonpath = ["{simulator}"]
    """
    folder = write({"program.py": program, "isthmus.toml": manifest})
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "run", "policy", "--", "python", "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1 1\n"
    by = "forbid_import of [runtime.policy] in isthmus.toml forbids carb"
    assert done.stderr.count(by) == 2


def test_worker_processes_are_guarded(
    other_python: Environment, run: Run, simulator: Path, write: Write
) -> None:
    write({"work.py": "def load(_):\n    try:\n        import carb\n    except ImportError as e:\n"
           "        return type(e).__name__\n"})  # fmt: skip
    program = """
        import multiprocessing
        from work import load
        if __name__ == "__main__":
            for how in ("spawn", "forkserver"):
                with multiprocessing.get_context(how).Pool(1) as pool:
                    print(*pool.map(load, [0]))
    """
    done = run(other_python.python, program, simulator)
    assert done.stdout == "ForbiddenImportError\nForbiddenImportError\n"


def test_other_interpreters_of_the_process_are_guarded(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    program = f"""
        import sys
        if sys.version_info >= (3, 13):
            import _interpreters
            one = _interpreters.create()
            print(_interpreters.exec(one, {TRY!r}).type.__name__)
            _interpreters.destroy(one)
        else:
            import _xxsubinterpreters
            one = _xxsubinterpreters.create()
            try:
                _xxsubinterpreters.run_string(one, {TRY!r})
            except _xxsubinterpreters.RunFailedError as error:
                print("ForbiddenImportError" if "ForbiddenImportError" in str(error) else error)
            _xxsubinterpreters.destroy(one)
    """
    done = run(other_python.python, program, simulator)
    assert (done.stdout, done.stderr) == ("ForbiddenImportError\n", "")


def test_python_dash_m_of_a_package(other_python: Environment, run: Run, write: Write) -> None:
    folder = write({"pkg/__init__.py": "", "pkg/__main__.py": "\nimport omni.usd\n"})
    done = run(other_python.python, "", arguments=("-m", "pkg"))
    assert f"\n  __main__.py ({folder}/pkg/__main__.py:2)\n  -> omni.usd\n" in done.stderr


@pytest.mark.parametrize(
    ("forbid", "words"),
    [
        (None, "ISTHMUS_FORBID_IMPORT is not set"),
        ("omni,no such name", "got 'no such name'"),
        ("omni..usd", "got 'omni..usd'"),
        ("isthmus", "got 'isthmus'"),
        ("os", "os, os.path must not be imported in this process, and is already: "),
    ],
)
def test_a_guard_that_fails_stops_the_process(
    newest_python: Environment, oldest_python: Environment, run: Run, forbid: str, words: str
) -> None:
    for each in (oldest_python, newest_python):
        done = run(each.python, "print('ran')", forbid=forbid)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("isthmus guard: not started, it would be unguarded: ")
        assert words in done.stderr


def test_it_stops_where_nobody_can_be_told(newest_python: Environment, run: Run) -> None:
    without_stderr = ("-c", 'exec "$0" program.py 2>&-', str(newest_python.python))
    done = run(Path("/bin/sh"), "print('ran')", forbid=None, arguments=without_stderr)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_guard_that_lost_its_hook_stops_the_process(
    newest_python: Environment, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "isthmus" / "guard" / "startup"
    shutil.copytree(STARTUP_FOLDER, folder)
    done = run(newest_python.python, "print('ran')", PYTHONPATH=str(folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert "hook.py" in done.stderr


def test_an_empty_variable_forbids_nothing(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    done = run(other_python.python, TRY, simulator, forbid="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "LOADED carb\n", "")


def test_the_next_sitecustomize_runs_and_is_the_one_that_is_seen(
    other_python: Environment, run: Run, write: Write
) -> None:
    folder = write({"mine/sitecustomize.py": "print('mine', __name__, __file__)\nMINE = 1\n"})
    program = """
        import sitecustomize, sys
        print(sitecustomize.MINE, sitecustomize.__spec__.name, len(sys.meta_path[0].forbidden))
    """
    mine = folder / "mine"
    done = run(other_python.python, program, mine)
    assert done.stderr == ""
    assert done.stdout == f"mine sitecustomize {mine}/sitecustomize.py\n1 sitecustomize 4\n"


def test_it_starts_in_a_folder_that_is_gone(
    newest_python: Environment, run: Run, write: Write
) -> None:
    mine = write({"mine/sitecustomize.py": "print('mine')"}) / "mine"
    gone = ("-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$0" -c "import omni"')
    done = run(Path("/bin/sh"), "", mine, arguments=(*gone, str(newest_python.python)))
    assert done.stdout == "mine\n"
    assert "ForbiddenImportError" in done.stderr


def test_two_copies_of_the_guard_do_not_run_each_other_for_ever(
    other_python: Environment, run: Run, write: Write, tmp_path: Path
) -> None:
    copy = tmp_path / "other" / "isthmus" / "guard"
    shutil.copytree(STARTUP_FOLDER.parent, copy)
    write({"mine/sitecustomize.py": "print('mine')\n"})
    path = (copy / "startup", STARTUP_FOLDER, tmp_path / "mine")
    program = "import sys; print([type(each).__name__ for each in sys.meta_path].count('Finder'))"
    done = run(other_python.python, program, *path)
    assert (done.stdout, done.stderr) == ("mine\n1\n", "")


def test_an_error_of_the_next_sitecustomize_is_pythons_to_report(
    other_python: Environment, run: Run, write: Write
) -> None:
    folder = write({"mine/sitecustomize.py": "import carb\n"})
    done = run(other_python.python, "import omni", folder / "mine")
    assert done.stderr.startswith("Error in sitecustomize; set PYTHONVERBOSE for traceback:\n")
    assert "ForbiddenImportError: carb must not" in done.stderr
    assert "ForbiddenImportError: omni must not" in done.stderr  # still guarded


def test_usercustomize_is_left_alone(newest_python: Environment, run: Run, write: Write) -> None:
    # Of an interpreter without a virtual environment, which has no user site.
    folder = write({"mine/usercustomize.py": "print('user')\n"})
    program = "import sys; print(len(sys.meta_path[0].forbidden), 'sitecustomize' in sys.modules)"
    base = newest_python.python.resolve()
    done = run(base, program, folder / "mine", PYTHONNOUSERSITE="", HOME=str(folder))
    assert (done.stdout, done.stderr) == ("user\n4 True\n", "")


def test_nothing_but_the_hook_is_loaded_at_the_start(other_python: Environment, run: Run) -> None:
    """What the guard adds to a start is felt by every Python below it."""
    program = "import sys; print(*sorted(sys.modules))"
    bare = run(other_python.python, program, PYTHONPATH="")
    guarded = run(other_python.python, program)
    assert set(guarded.stdout.split()) - set(bare.stdout.split()) <= {"sitecustomize"}


def test_it_refuses_without_our_package_on_the_path(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    path = f"{STARTUP_FOLDER}:{simulator}"
    source = str(STARTUP_FOLDER.parents[2])
    program = f"import sys\nsys.path[:] = [p for p in sys.path if p != {source!r}]\nimport carb"
    done = run(other_python.python, program, PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    words = "ModuleNotFoundError: carb must not be imported: ISTHMUS_FORBID_IMPORT forbids carb"
    assert words in done.stderr


def test_packages_with_optional_parts_still_import(policy_runtime: Environment, run: Run) -> None:
    program = """
        import sys
        import numpy, numpy.testing
        import onnxruntime
        print(numpy.ones(2).sum(), len(onnxruntime.get_available_providers()) > 0)
    """
    done = run(
        policy_runtime.python,
        program,
        forbid="omni,isaacsim,carb,pxr,torch,onnx,sympy",
        ORT_DISABLE_TELEMETRY="1",
    )
    assert (done.stdout, done.stderr) == ("2.0 True\n", "")
