"""A forbidden module cannot be imported in any way, and asking for it does no harm."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from isthmus.runtimes import Environment

from .conftest import Run, Write

pytestmark = pytest.mark.cross_python

IMPORTS = {
    "import": "import omni.usd",
    "import-as": "import carb as c",
    "from": "from pxr import Usd",
    "from-submodule": "from omni.usd import get_context",
    "import_module": "import importlib; importlib.import_module('omni.usd')",
    "dunder": "__import__('omni.usd')",
    "lazy": "def load():\n    import pxr.Usd\nload()",
    "run_module": "import runpy; runpy.run_module('pxr.Usd')",
    "resolve_name": "import pkgutil; pkgutil.resolve_name('omni.usd:x')",
    "exec": "exec('import carb')",
    "loaded-by-hand": """
        import importlib.util, sys
        spec = importlib.util.find_spec('carb') or sys.exit('ForbiddenImportError, if it were here')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    """,
    "lazy-loader": """
        import importlib.util, sys
        spec = importlib.util.find_spec('carb') or sys.exit('ForbiddenImportError, if it were here')
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.anything
    """,
    "thread": """
        import sys, threading
        def load():
            try:
                import omni.usd
            except ImportError as error:
                said.append(f'{type(error).__name__}: {error}')
        said = []
        threads = [threading.Thread(target=load) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        sys.exit(said[0] if len(said) == 8 else 'some thread got it')
    """,
    "reload": """
        import importlib, sys, types
        from importlib.machinery import ModuleSpec
        stub = sys.modules['carb'] = types.ModuleType('carb')
        stub.__spec__ = ModuleSpec('carb', None)
        import carb  # what a test puts there is the test's
        importlib.reload(carb)
    """,
    "stubbed-parent": """
        import sys, types
        stub = sys.modules['omni'] = types.ModuleType('omni')
        stub.__path__ = []
        import omni.usd
    """,
}


# Every way in a process of its own, forked from one that is guarded: starting Python takes longer.
TRY_ALL = """
    import os, sys, traceback
    sys.stdout.reconfigure(line_buffering=True)
    for way, code in WAYS.items():
        if os.fork() == 0:
            try:
                exec(code, {"__name__": "__main__"})
            except BaseException as error:
                print(way, "ForbiddenImportError" in f"{type(error).__name__}: {error}")
            else:
                print(way, "came through")
            os._exit(0)
        os.wait()
"""


@pytest.mark.parametrize("installed", [False, True], ids=["absent", "installed"])
def test_no_way_leads_to_it(
    other_python: Environment, run: Run, simulator: Path, installed: bool
) -> None:
    ways = {way: dedent(code) for way, code in IMPORTS.items()}
    program = f"WAYS = {ways!r}\n{dedent(TRY_ALL)}"
    done = run(other_python.python, program, *([simulator] if installed else []))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{way} True" for way in IMPORTS]


@pytest.mark.parametrize("module", ["carb", "pxr.Usd"])
def test_nor_does_python_dash_m(
    other_python: Environment, run: Run, simulator: Path, module: str
) -> None:
    done = run(other_python.python, "", simulator, arguments=("-m", module))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{module.split('.')[0]} must not be imported in this process" in done.stderr


def test_the_error_says_what_why_who_and_what_to_do(
    other_python: Environment, run: Run, write: Write
) -> None:
    folder = write(
        {
            "mylib/__init__.py": "",
            "mylib/vision.py": "import math\n\nimport omni.usd\n",
            "mylib/tools.py": "def load():\n    from mylib import vision\n    return vision\n",
        }
    )
    program = """
        import traceback
        from mylib.tools import load
        try:
            load()
        except ModuleNotFoundError as error:
            print(type(error).__mro__[1].__name__, error.name, error.path)
            print(error)
    """
    done = run(other_python.python, program, ISTHMUS_RUNTIME="policy")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Error omni None",
        "omni.usd must not be imported in this process: "
        "forbid_import of [runtime.policy] in isthmus.toml forbids omni.",
        f"  program.py ({folder}/program.py:5)",
        f"  -> mylib.tools, in load ({folder}/mylib/tools.py:2)",
        f"  -> mylib.vision ({folder}/mylib/vision.py:3)",
        "  -> omni.usd",
        "Import it in the program it belongs to, and send over the link what is needed of it.",
        "If this program needs it after all, allow it where it is forbidden.",
    ]


def test_a_long_chain_is_cut_in_the_middle(
    other_python: Environment, run: Run, write: Write
) -> None:
    write({f"m{i}.py": f"import m{i + 1}" for i in range(40)} | {"m40.py": "import carb"})
    done = run(other_python.python, "import m0")
    assert "  -> m6 " in done.stderr
    assert "  -> (26 more)\n" in done.stderr
    assert done.stderr.count("  -> ") == 17
    assert "m40.py:1)\n  -> carb\n" in done.stderr


ASKING = """
    import importlib.metadata, importlib.util, pkgutil, sys, warnings
    warnings.simplefilter("ignore")
    for name in ("omni", "pxr", "carb"):
        spec = importlib.util.find_spec(name)
        print(name, spec and (spec.name, spec.origin, spec.submodule_search_locations is not None))
        if hasattr(pkgutil, "find_loader"):
            assert (pkgutil.find_loader(name) is None) == (spec is None)
        for finder in sys.meta_path:
            finder.find_spec(name, None)
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
        try:
            importlib.util.find_spec(name + ".deeper")
        except ModuleNotFoundError as error:
            assert error.name == name, error.name
    list(pkgutil.iter_modules())
    list(pkgutil.walk_packages([p for p in sys.path if p.endswith("/installed")], onerror=print))
    importlib.invalidate_caches()
    try:
        import pxr
    except ImportError:
        pxr = None
    assert not {"omni", "pxr", "carb"} & set(sys.modules)
"""


def test_asking_for_what_is_absent_finds_nothing(other_python: Environment, run: Run) -> None:
    done = run(other_python.python, ASKING)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["omni None", "pxr None", "carb None"]


def test_asking_for_what_is_installed_finds_it_unloaded(
    other_python: Environment, run: Run, write: Write
) -> None:
    folder = write(
        {f"installed/{name}/__init__.py": "raise SystemExit(9)" for name in ("omni", "pxr")}
        | {"installed/carb.py": "raise SystemExit(9)"}
    )
    done = run(other_python.python, ASKING, folder / "installed")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"omni ('omni', '{folder}/installed/omni/__init__.py', True)",
        f"pxr ('pxr', '{folder}/installed/pxr/__init__.py', True)",
        f"carb ('carb', '{folder}/installed/carb.py', False)",
        "omni",  # told by walk_packages, which imports packages and goes on
        "pxr",
    ]


def test_the_answer_about_an_installed_module_is_the_true_one(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    program = """
        import copy, importlib.util
        spec = importlib.util.find_spec("carb")
        loader = copy.copy(spec.loader)
        print(loader.get_source("carb"), loader.is_package("carb"), spec.has_location)
        print(hasattr(loader, "nonsense"), importlib.util.find_spec("omni").origin)
        for refused in (loader.load_module, loader.get_code):
            try:
                refused("carb")
            except ImportError as error:
                print(type(error).__name__, error.path)
    """
    done = run(other_python.python, program, simulator)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "print('LOADED', __name__) False True",
        "False None",
        f"ForbiddenImportError {simulator}/carb.py",
        f"ForbiddenImportError {simulator}/carb.py",
    ]


def test_a_dotted_name_forbids_what_is_below_it_only(
    other_python: Environment, run: Run, write: Write
) -> None:
    folder = write(
        {
            "installed/omni/isaac/core.py": "print('LOADED')",
            "installed/omni/isaacs.py": "",
            "installed/omni/usd.py": "",
        }
    )
    program = """
        import omni.usd, omni.isaacs
        for statement in ("import omni.isaac.core", "from omni import isaac"):
            try:
                exec(statement)
            except ImportError as error:
                print(type(error).__name__, str(error).split(":")[0])
    """
    done = run(other_python.python, program, folder / "installed", forbid="omni.isaac")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "ForbiddenImportError omni.isaac.core must not be imported in this process",
        "ForbiddenImportError omni.isaac must not be imported in this process",
    ]


def test_other_hooks_before_and_behind_keep_working(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    """As packages have them that act on an import: one asks `find_spec` and wraps the loader."""
    program = """
        import importlib.util, sys

        seen = set()

        class Wrapping:
            busy = False

            def find_spec(self, name, path=None, target=None):
                if self.busy:
                    return None
                self.busy = True
                try:
                    spec = importlib.util.find_spec(name)
                finally:
                    self.busy = False
                if spec is not None and hasattr(spec.loader, "exec_module"):
                    load = spec.loader.exec_module
                    spec.loader.exec_module = lambda module: (seen.add(name), load(module))
                return spec

        class Old:  # no find_spec at all
            pass

        sys.meta_path.insert(0, Wrapping())
        sys.meta_path.insert(2, Old()) if sys.version_info >= (3, 12) else None
        import tabnanny
        print("tabnanny" in seen)
        for name in ("carb", "isaacsim"):
            try:
                __import__(name)
            except ImportError as error:
                print(type(error).__name__, error.name)
    """
    done = run(other_python.python, program, simulator)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "True",
        "ForbiddenImportError carb",
        "ForbiddenImportError isaacsim",
    ]


def test_a_finder_that_wraps_ours_does_not_open_a_way(
    other_python: Environment, run: Run, simulator: Path
) -> None:
    program = """
        import sys

        class Proxy:
            def __init__(self, inner):
                self.find_spec = inner.find_spec

        sys.meta_path[:] = map(Proxy, sys.meta_path)
        for name in ("carb", "isaacsim"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                print(error.name)
    """
    done = run(other_python.python, program, simulator)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["carb", "isaacsim"]
