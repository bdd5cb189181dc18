"""The design's rules about imports, checked on the source itself.

Each rule is a function from modules to complaints, and is itself shown a module that breaks it.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "isthmus"

# Which package stands on which level; a module may import from lower levels and from its own
# package. The two files at the top, `isthmus/__init__.py` and `__main__.py`, wire everything.
LEVELS = {
    "errors": 0,
    "runids": 0,
    "strictjson": 0,
    "tomltext": 0,
    "version": 0,
    "contract": 1,
    "provenance": 1,
    "protocol": 2,
    "safety": 2,
    "telemetry": 2,
    "transport": 3,
    "runtimes": 3,
    "guard": 3,
    "events": 3,
    "channel": 4,
    "doctor": 4,
    "supervisor": 4,
    "policy": 5,
    "record": 5,
    "control": 5,
    "export": 6,
    "client": 6,
    "gateway": 6,
    "env": 7,
    "sim": 8,
    "robot": 8,
    "testing": 9,
    "bench": 8,
    "interop": 9,
    "scale": 9,
    "mcp": 9,
    "cli": 9,
}
TOP = 10
PURE_LEVELS = range(3)

# What the pure levels may take from the standard library. Anything else is I/O, a clock, a thread,
# randomness or a process, or has to be argued for here.
PURE_STDLIB = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "importlib",
    "itertools",
    "json",
    "keyword",
    "math",
    "numbers",
    "operator",
    "re",
    "reprlib",
    "string",
    "struct",
    "sys",
    "textwrap",
    "tomllib",
    "types",
    "typing",
    "unicodedata",
    "weakref",
    "xml",
    "zlib",
}
IMPURE_CALLS = {"open", "input", "print", "breakpoint"}

# One foreign library, one place (patterns below src/isthmus). numpy is the only one that may be
# imported anywhere; a library that is not listed may be imported nowhere.
FOREIGN = {
    "numpy": ("*",),
    "onnxruntime": ("policy/onnx.py",),
    "onnx": ("export/graph.py",),
    "torch": ("export/torchscript.py",),
    "stable_baselines3": ("export/trusted.py",),
    "prometheus_client": ("control/exposition.py",),
    "mujoco": ("sim/mujoco/*",),
    "gymnasium": ("sim/mujoco/*", "cli/contract.py", "env/*"),
    "tomli": ("tomltext.py",),
}
BANNED = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}


@dataclass(frozen=True)
class Module:
    """One source file.

    Attributes:
        name: dotted, such as "isthmus.contract.fields".
        path: below src/isthmus, with slashes.
    """

    name: str
    path: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def part(self) -> str:
        """The package or file directly below `isthmus`; "" for the two at the top."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def module(path: str, code: str) -> Module:
    name = ".".join(["isthmus", *path.removesuffix(".py").split("/")]).removesuffix(".__init__")
    return Module(name, path, ast.parse(textwrap.dedent(code), path))


def read_modules() -> list[Module]:
    files = sorted(SOURCE.rglob("*.py"))
    return [
        module(file.relative_to(SOURCE).as_posix(), file.read_text(encoding="utf-8"))
        for file in files
    ]


MODULES = read_modules()


def imports(source: Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """List what a module imports, wherever in the file: the module, and the names taken from it."""
    package = source.name if source.is_package else source.name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                yield ".".join([*above, *([node.module] if node.module else [])]), names
            else:
                yield node.module or "", names
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            # A late import by name is an import all the same.
            if node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), ()


def own_imports(source: Module, known: Iterable[str]) -> Iterator[str]:
    """List the isthmus modules that a module imports, as precisely as the source says."""
    known = set(known)
    for target, names in imports(source):
        if target.split(".")[0] != "isthmus":
            continue
        submodules = {f"{target}.{name}" for name in names} & known
        yield from submodules
        if not names or len(submodules) < len(names):
            yield target


def part_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def level_complaints(modules: Iterable[Module]) -> list[str]:
    modules = list(modules)
    known = [each.name for each in modules]
    complaints = []
    for source in modules:
        if source.part and source.part not in LEVELS:
            complaints.append(f"{source.path}: {source.part!r} has no level in the design")
            continue
        level = LEVELS.get(source.part, TOP)
        for target in own_imports(source, known):
            part = part_of(target)
            if part == source.part or target == "isthmus":
                continue
            if LEVELS.get(part, TOP) >= level:
                complaints.append(
                    f"{source.path} (level {level}) imports {target} (level "
                    f"{LEVELS.get(part, TOP)}): imports point down only"
                )
    return complaints


def facade_complaints(modules: Iterable[Module]) -> list[str]:
    """Nobody below the command line takes from the facade, which knows everybody, but its version.

    What is a module is no name of the facade: `from isthmus import errors` is fine.
    """
    modules = list(modules)
    known = {each.name for each in modules} | {f"isthmus.{part}" for part in LEVELS}
    complaints = []
    for source in modules:
        if source.part in ("", "cli"):
            continue
        for target, names in imports(source):
            taken = {name for name in names if f"isthmus.{name}" not in known} - {"__version__"}
            if target == "isthmus" and (taken or not names):
                complaints.append(
                    f"{source.path} imports {', '.join(taken) or 'everything'} from the facade "
                    "`isthmus`; import the module that defines it"
                )
    return complaints


def cycles(modules: Iterable[Module]) -> list[list[str]]:
    """Find import cycles between modules, by what they say at module level and inside functions."""
    modules = list(modules)
    known = {each.name for each in modules}
    graph = {
        each.name: {t for t in own_imports(each, known) if t in known and t != each.name}
        for each in modules
        if each.part  # the facade imports lazily
    }
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append([*trail[trail.index(name) :], name])
            return
        if name in done or name not in graph:
            return
        for target in sorted(graph[name]):
            visit(target, [*trail, name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def purity_complaints(modules: Iterable[Module]) -> list[str]:
    complaints = []
    for source in modules:
        if LEVELS.get(source.part, TOP) not in PURE_LEVELS:
            continue
        for target, _ in imports(source):
            top = target.split(".")[0]
            if top in sys.stdlib_module_names and top not in PURE_STDLIB:
                complaints.append(f"{source.path} imports {top}: this level does no I/O")
            if target.startswith("numpy.random"):
                complaints.append(f"{source.path} imports {target}: entropy is handed in")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in IMPURE_CALLS:
                    complaints.append(f"{source.path} calls {node.func.id}()")
            if isinstance(node, ast.Attribute) and node.attr == "random":
                if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
                    complaints.append(f"{source.path} uses numpy.random: entropy is handed in")
    return complaints


def foreign_complaints(modules: Iterable[Module]) -> list[str]:
    complaints = []
    for source in modules:
        for target, _ in imports(source):
            top = target.split(".")[0]
            if top == "isthmus" or (top in sys.stdlib_module_names and top not in BANNED):
                continue
            places = FOREIGN.get(top, ())
            if not any(fnmatch(source.path, place) for place in places):
                where = " or ".join(places) if places else "nowhere"
                complaints.append(f"{source.path} imports {top}, which belongs in {where}")
    return complaints


def test_imports_point_down_only() -> None:
    assert level_complaints(MODULES) == []


def test_nobody_imports_from_the_facade() -> None:
    assert facade_complaints(MODULES) == []


def test_no_import_cycles() -> None:
    assert [" -> ".join(cycle) for cycle in cycles(MODULES)] == []


def test_the_lower_half_does_no_io() -> None:
    assert purity_complaints(MODULES) == []


def test_one_foreign_library_one_place_and_no_pickle() -> None:
    assert foreign_complaints(MODULES) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("contract/fields.py", "from isthmus.protocol import messages"),
        ("contract/fields.py", "import isthmus.provenance"),
        ("client/link.py", "from isthmus.gateway.engine import Engine"),
        ("client/link.py", "from ..gateway import engine"),
        ("client/link.py", "def f():\n    import isthmus.sim.mujoco"),
        ("client/link.py", "importlib.import_module('isthmus.gateway')"),
        ("surprise/idea.py", "import math"),
    ],
)
def test_level_rule_finds_what_breaks_it(path: str, code: str) -> None:
    assert level_complaints([module(path, code)])


def test_level_rule_allows_down_and_within() -> None:
    code = """
    from isthmus.errors import ContractError
    from isthmus.client import rate
    from . import rate
    """
    assert level_complaints([module("client/link.py", code)]) == []


def test_facade_rule_finds_what_breaks_it() -> None:
    assert facade_complaints([module("client/link.py", "from isthmus import Contract")])
    assert facade_complaints([module("client/link.py", "import isthmus")])
    fine = "from isthmus import __version__, errors\nimport isthmus.contract"
    assert facade_complaints([module("client/link.py", fine)]) == []


def test_cycle_rule_finds_a_cycle_and_a_package_that_is_its_own_import() -> None:
    two = [
        module("client/link.py", "from isthmus.client.rate import Rate"),
        module("client/rate.py", "from . import link"),
    ]
    own = [
        module("client/__init__.py", "from isthmus.client.link import Link"),
        module("client/link.py", "from isthmus.client import Link"),
    ]
    assert cycles(two) == [["isthmus.client.link", "isthmus.client.rate", "isthmus.client.link"]]
    assert cycles(own)
    assert cycles(two[:1]) == []


@pytest.mark.parametrize(
    "code",
    [
        "import socket",
        "from time import monotonic_ns",
        "import os.path",
        "from numpy.random import default_rng",
        "import numpy as np\nx = np.random.rand()",
        "text = open('file').read()",
    ],
)
def test_purity_rule_finds_what_breaks_it(code: str) -> None:
    assert purity_complaints([module("protocol/codec.py", code)])
    assert purity_complaints([module("transport/tcp.py", code)]) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("gateway/engine.py", "import onnxruntime"),
        ("policy/onnx.py", "import torch"),
        ("client/link.py", "from mujoco import MjModel"),
        ("record/episodes.py", "import pickle"),
        ("export/unpickle.py", "from pickle import loads"),
    ],
)
def test_foreign_rule_finds_what_breaks_it(path: str, code: str) -> None:
    assert foreign_complaints([module(path, code)])


def test_import_isthmus_loads_numpy_and_the_standard_library_only() -> None:
    """Also with every public name loaded, as the simulator's side does."""
    program = """
        import json, sys
        before = set(sys.modules)
        import isthmus
        bare = set(sys.modules) - before
        for name in isthmus.__all__:
            try:
                getattr(isthmus, name)
            except ModuleNotFoundError as error:
                if not (error.name or "").startswith("isthmus."):
                    raise
        print(json.dumps([sorted(bare), sorted(set(sys.modules) - before)]))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    bare, full = json.loads(done.stdout)
    assert foreign_names(bare) == {"isthmus"}
    assert foreign_names(full) <= {"isthmus", "numpy"}


def foreign_names(loaded: Iterable[str]) -> set[str]:
    tops = {name.split(".")[0] for name in loaded}
    # CPython's own platform data has a name per machine.
    return {
        top
        for top in tops
        if top not in sys.stdlib_module_names and not top.startswith("_sysconfigdata")
    }


def test_every_module_is_type_checked(pyproject: Mapping[str, object]) -> None:
    tool = pyproject["tool"]
    assert isinstance(tool, dict)
    mypy = tool["mypy"]
    assert mypy["packages"] == ["isthmus"]
    assert mypy["strict"] is True
    assert "exclude" not in mypy
    assert not [o for o in mypy.get("overrides", []) if "ignore_errors" in o]
    assert (SOURCE / "py.typed").is_file()


def test_every_folder_with_code_is_a_package() -> None:
    folders = {file.parent for file in SOURCE.rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
