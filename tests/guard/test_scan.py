"""Forbidden imports are found in programs however they are spelled, and nothing else is."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from isthmus.guard.hook import DEFAULT_FORBIDDEN
from isthmus.guard.scan import Report, scan

from .conftest import Write


def check(folder: Path, code: str | bytes, *forbidden: str, name: str = "a.py") -> Report:
    file = folder / name
    if isinstance(code, str):
        code = textwrap.dedent(code).encode()
    file.write_bytes(code)
    return scan([str(file)], forbidden or DEFAULT_FORBIDDEN)


FOUND = {
    "import omni": ["omni"],
    "import omni.usd, math, carb as c": ["omni.usd", "carb"],
    "from pxr import Usd, Sdf": ["pxr"],
    "from isaacsim.core import *": ["isaacsim.core"],
    "try:\n    import pxr\nexcept ImportError:\n    pxr = None": ["pxr"],
    "def f():\n    async def g():\n        return lambda: __import__('carb')": ["carb"],
    "class A:\n    import omni": ["omni"],
    "match x:\n    case [a]:\n        import omni": ["omni"],
    "import importlib\nimportlib.import_module('omni.usd')": ["omni.usd"],
    "import importlib.util as u, importlib as il\nil.import_module(name='omni')": ["omni"],
    "from importlib import import_module as load\nload('omni')": ["omni"],
    "from importlib import import_module as load\nbring = load\nbring('omni')": ["omni"],
    "import importlib\nload = importlib.import_module\ndef f():\n    load('omni')": ["omni"],
    "import builtins\nbuiltins.__import__('omni')": ["omni"],
    "import importlib\nimportlib.__import__('omni', fromlist=['x'])": ["omni"],
    "import runpy\nrunpy.run_module('omni.tool')": ["omni.tool"],
    "import pkgutil\npkgutil.resolve_name('omni.usd:get')": ["omni.usd"],
    "import pytest\nUsd = pytest.importorskip('pxr.Usd')": ["pxr.Usd"],
    "from importlib import import_module\nimport_module('.usd', 'omni')": ["omni.usd"],
    "from importlib import import_module\nimport_module('..b', 'omni.a')": ["omni.b"],
    "from importlib import import_module\nimport_module('.', package='omni')": ["omni"],
    "import importlib as i\nf = __import__ if x else 1\nf = i.import_module\nf('omni')": ["omni"],
    # constants
    "N = 'omni.usd'\n__import__(N)": ["omni.usd"],
    "N: str = 'om' + 'ni' '.usd'\ndef f():\n    __import__(N)": ["omni.usd"],
    "A, B = 'math', 'omni'\n__import__(B)": ["omni"],
    "T = 'omni'\n__import__(f'{T}.usd{1}')": ["omni.usd1"],
    "T = 'omni'\n__import__(f'{T!s}.{x}')": ["omni...."],
    "__import__('omni.' + x)": ["omni...."],
    "__import__('omni.%s' % x)": ["omni...."],
    "__import__('omni.usd{}'.format(x))": ["omni.usd..."],
    "__import__('omni' if x else 'math')": ["omni"],
    "__import__(x or 'omni')": ["omni"],
    "__import__(n := 'omni')": ["omni"],
    "N = 'math'\nN = 'omni'\n__import__(N)": ["omni"],
    "for n in ('math', 'omni', 'carb'):\n    __import__(n)": ["omni", "carb"],
    "M = ['omni.a', 'omni.b']\n[__import__(m) for m in M]": ["omni.a", "omni.b"],
    "M = {'carb': 1}\nfor m in M:\n    __import__(m)": ["carb"],
    "HOME = {'Usd': 'pxr.Usd', 'x': 'math'}\ndef __getattr__(n):\n    __import__(HOME[n])": [
        "pxr.Usd"
    ],
    "def f(n='omni'):\n    __import__(n)": ["omni"],
    "def f(a, *, n='omni'):\n    __import__(n)": ["omni"],
    # the two sides of TYPE_CHECKING
    "if not TYPE_CHECKING:\n    import omni": ["omni"],
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import omni": [
        "omni"
    ],
    "if TYPE_CHECKING or x:\n    import omni": ["omni"],
    "x = '# guard: allow'; import omni": ["omni"],
    "# guard: allow\nimport omni": ["omni"],
}

CLEAN = [
    "import omnibus, pxrtools, carbon",
    "from . import omni\nfrom .omni import usd\nfrom .. import pxr",
    "import importlib.util\nimportlib.util.find_spec('omni')\nimportlib.metadata.version('omni')",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import omni",
    "import typing as t\nif t.TYPE_CHECKING and x:\n    from pxr import Usd",
    "from typing_extensions import TYPE_CHECKING as TC\nif TC:\n    import omni",
    "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import omni",
    "if not TYPE_CHECKING:\n    pass\nelse:\n    import omni",
    "import omni  # guard: allow",
    "import omni  # noqa: F401  # guard:allow (probed by hand)",
    "from pxr import (  # guard: allow\n    Usd,\n)",
    "from pxr import (\n    Usd,  # guard: allow\n)",
    "__import__(name)  # guard: allow",
    "x = 'import omni'\n'''\nimport omni\n'''",
    "importlib.import_module('omni')",  # a name nobody binds: it cannot run
    "def import_module(name): pass\nimport_module('omni')",
    "from mylib import import_module\nimport_module('omni')",
    "from importlib import import_module\nimport_module('.omni', __package__)",
    "from importlib import import_module\nimport_module('.omni')",
    "__import__('mylib.' + name)",
    "N = 'omni'\ndef f():\n    N = 'math'\n    __import__(N)",
    "class A:\n    N = 'omni'\n    def f(self):\n        N = 'math'\n        __import__(N)",
    "",
]

UNKNOWN = [
    "__import__(name)",
    "def f(name):\n    __import__(name)",
    "N = 'omni'\ndef f(N):\n    __import__(N)",
    "def f(name, *, other):\n    __import__(f'{name}.usd')",
    "__import__('om' + x)",
    "__import__('omni' + x)",
    "__import__(f'{x:>4}')",
    "__import__(f'{x!r}')",
    "__import__(TABLE[x])",
    "__import__(*args)",
    "__import__(**kwargs)",
    "for n in names():\n    __import__(n)",
    "for a, b in (('omni', 1),):\n    __import__(a)",
    "with open(x) as n:\n    __import__(n)",
    "n = n + 'a'\n__import__(n)",
    "a = b\nb = a\n__import__(a)",
    "n = 'a'\nn += x\n__import__(n)",
    "__import__(1.5)",
    "from importlib import import_module\nimport_module(self.name)",
]


@pytest.mark.parametrize(("code", "modules"), FOUND.items(), ids=FOUND)
def test_it_is_found(tmp_path: Path, code: str, modules: list[str]) -> None:
    report = check(tmp_path, code)
    assert [each.module for each in report.findings] == modules
    assert report.problems == ()


@pytest.mark.parametrize("code", CLEAN)
def test_nothing_is_found(tmp_path: Path, code: str) -> None:
    report = check(tmp_path, code)
    assert (report.files, report.findings, report.notes, report.problems) == (1, (), (), ())


@pytest.mark.parametrize("code", UNKNOWN)
def test_what_cannot_be_known_is_noted(tmp_path: Path, code: str) -> None:
    report = check(tmp_path, code)
    assert report.findings == ()
    assert [note.message for note in report.notes] == [
        "what is imported here is known only when it runs"
    ]


def test_dotted_names(tmp_path: Path) -> None:
    code = "import omni\nimport omni.usd\nfrom omni import isaac, usd\nimport omni.isaac.core as c"
    report = check(tmp_path, code, "omni.isaac", "torch")
    assert [(each.place.line, each.module, each.rule) for each in report.findings] == [
        (3, "omni.isaac", "omni.isaac"),
        (4, "omni.isaac.core", "omni.isaac"),
    ]
    assert check(tmp_path, "__import__('omni.' + x)", "omni.isaac").notes
    assert not check(tmp_path, "__import__('omni.u' + x)", "omni.isaac").notes


def test_the_place_counts_characters_from_one(tmp_path: Path) -> None:
    code = "# ä\nif 1:\n    'äö'; import omni\n\nclass A:\n    def f(self): import carb\n"
    report = check(tmp_path, code)
    assert [(each.place.line, each.place.column, each.function) for each in report.findings] == [
        (3, 11, ""),
        (6, 18, "A.f"),
    ]


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_lines_of_every_kind(tmp_path: Path, newline: str) -> None:
    code = f"'''a\f\x85'''{newline}import omni  # guard: allow{newline}import carb"
    report = check(tmp_path, code.encode())
    assert [(each.module, each.place.line) for each in report.findings] == [("carb", 3)]


@pytest.mark.parametrize("code", [
    "# -*- coding: latin-1 -*-\n'ä'; import omni".encode("latin-1"),
    "\ufeff'ä'; import omni".encode(),
], ids=["latin-1", "byte-order-mark"])  # fmt: skip
def test_encodings(tmp_path: Path, code: bytes) -> None:
    assert [each.module for each in check(tmp_path, code).findings] == ["omni"]


def test_warnings_about_the_code_are_not_ours(tmp_path: Path) -> None:
    assert check(tmp_path, r"x = '\d'; y = 1 is 1; import omni").findings


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"import omni\nimport", "a.py:2:7: invalid Python: "),
        (b"x = '\xff'", "a.py: cannot be decoded: "),
        (b"# coding: nonsense\n", "a.py: cannot be decoded: "),
        (b"\0", "a.py"),
        (b"x = " + b"(" * 1000 + b")" * 1000, "a.py:1"),
        (b"x = " + b"-" * 100_000 + b"1", "a.py"),
    ],
    ids=["syntax", "bytes", "coding", "null", "brackets", "deep"],
)
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, code: bytes, words: str) -> None:
    report = check(tmp_path, code)
    assert report.findings == ()
    (problem,) = report.problems
    assert f"{problem.place}: {problem.message}".startswith(f"{tmp_path}/{words}")


def test_absurd_programs_take_a_bounded_time(tmp_path: Path) -> None:
    doubling = "".join(f"a{i + 1} = a{i} + a{i}\n" for i in range(200))
    many = "+".join(["x"] * 500)
    choices = "".join(f"n = 'm{i}'\n" for i in range(300))
    code = (
        f"a0 = 'omni'\n{doubling}__import__(a200)\n{choices}__import__(n + n)\n__import__({many})"
    )
    report = check(tmp_path, code)
    assert len(report.notes) == 3


def notebook(*cells: str | list[str], **more: Any) -> bytes:
    made = [{"cell_type": "markdown", "source": "import omni"}]
    made += [{"cell_type": "code", "source": cell} for cell in cells]  # type: ignore[misc]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4} | more).encode()


def test_notebooks(tmp_path: Path) -> None:
    code = notebook(
        "%matplotlib inline\n!pip install x\nNAME = 'omni'\nx = !ls\ny, z = %who\nhelp?\n",
        ["await thing()\n", "import carb\n"],
        "%%bash\nimport omni",
        "%%time\nimport pxr",
        "x = ('%s'\n     % 1)\nimport importlib as i\ni.import_module(NAME)",
        "import pxr  # guard: allow",
    )
    report = check(tmp_path, code, name="a.ipynb")
    assert report.problems == ()
    assert [
        (str(each.place).partition("a.ipynb:")[2], each.module) for each in report.findings
    ] == [
        ("cell 2:2:1", "carb"),
        ("cell 4:2:1", "pxr"),
        ("cell 5:4:1", "omni"),
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"{", "invalid notebook: "),
        (b"[]", "expected cells, as nbformat 4"),
        (b'{"worksheets": []}', "expected cells, as nbformat 4"),
        (b'{"cells": [{"cell_type": "code", "source": 1}]}', "expected cells, as nbformat 4"),
        (b"\xff", "invalid notebook: "),
        (b"[" * 100_000, "invalid notebook: "),
        (notebook("fine = 1", "what was this"), "invalid Python: "),
    ],
)
def test_notebooks_that_cannot_be_read(tmp_path: Path, code: bytes, words: str) -> None:
    (problem,) = check(tmp_path, code, name="a.ipynb").problems
    assert words in problem.message
    assert problem.place.cell == (2 if "Python" in words else 0)


def test_notebooks_of_other_languages_are_not_python(tmp_path: Path) -> None:
    for metadata in ({"language_info": {"name": "R"}}, {"kernelspec": {"language": "julia"}}):
        report = check(tmp_path, notebook("library(omni)", metadata=metadata), name="a.ipynb")
        assert (report.findings, report.problems) == ((), ())


def test_which_files_of_a_folder_are_checked(write: Write) -> None:
    bad = "import omni"
    folder = write(
        {
            name: bad
            for name in (
                "a.py", "b/c.pyw", "b/d.txt", "b/e.pyi", ".hidden/f.py", "b/__pycache__/g.py",
                "node_modules/h.py", "env/pyvenv.cfg", "env/i.py", "conda/conda-meta/x",
                "conda/j.py", "b/site-packages/k.py", "b/.l.py",
            )
        }
    )  # fmt: skip
    (folder / "link.py").symlink_to(folder / "a.py")
    (folder / "links").symlink_to(folder / "b")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.py")
    report = scan([str(folder)], ["omni"])
    assert {each.place.path for each in report.findings} == {
        f"{folder}/a.py",
        f"{folder}/b/c.pyw",
        f"{folder}/b/.l.py",
    }
    assert report.problems == ()


def test_files_that_are_named_are_checked_whatever_they_are_called(write: Write) -> None:
    folder = write({".hidden/tool": "import omni", "env/pyvenv.cfg": "", "env/a.py": "import omni"})
    (folder / "link").symlink_to(folder / ".hidden/tool")
    report = scan([f"{folder}/.hidden/tool", f"{folder}/link", f"{folder}/env"], ["omni"])
    assert len(report.findings) == 3


def test_a_file_named_twice_is_checked_once(write: Write) -> None:
    folder = write({"a.py": "import omni"})
    assert scan([str(folder), f"{folder}/a.py", f"{folder}/../{folder.name}"], ["omni"]).files == 1


def test_paths_that_lead_nowhere_are_problems(write: Write) -> None:
    folder = write({"empty/readme.txt": "", "a.py": ""})
    (folder / "broken").symlink_to("nowhere")
    report = scan([f"{folder}/{name}" for name in ("empty", "broken", "none.py", "a.py")], ["omni"])
    assert [
        (Path(each.place.path).name, each.message.split(";")[0]) for each in report.problems
    ] == [
        ("broken", "is neither a file nor a folder"),
        ("empty", "no Python file or notebook is in this folder"),
        ("none.py", "does not exist"),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_problem(write: Write) -> None:
    folder = write({"a.py": "", "closed/b.py": ""})
    (folder / "a.py").chmod(0)
    (folder / "closed").chmod(0)
    try:
        report = scan([str(folder)], ["omni"])
    finally:
        (folder / "closed").chmod(0o700)
    assert {each.message for each in report.problems} == {
        "cannot be read: Permission denied",
        "cannot be listed: Permission denied",
    }
