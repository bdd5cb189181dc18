"""A forbidden import is reported with who imports the file, and what a program reaches."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from isthmus.guard.scan import scan

from .conftest import Write


def chain(write: Write, files: Mapping[str, str], *entries: str) -> list[list[str]]:
    """Of each finding, the importers and itself, as `path:line`."""
    folder = write(files)
    report = scan([str(folder)], ["omni"], entries=[f"{folder}/{entry}" for entry in entries])
    assert report.problems == ()
    places = [(*each.importers, each.place) for each in report.findings]
    return [[f"{p.path.removeprefix(f'{folder}/')}:{p.line}" for p in each] for each in places]


PACKAGE = {"pkg/__init__.py": "", "pkg/sub/__init__.py": "", "pkg/sub/a.py": "import omni\n"}


@pytest.mark.parametrize(
    "statement",
    [
        "import pkg.sub.a",
        "from pkg.sub import a",
        "from pkg.sub.a import thing",
        "from importlib import import_module; import_module('pkg.sub.a')",
        "def f():\n    from pkg.sub import a",
    ],
)
def test_who_imports_it(write: Write, statement: str) -> None:
    line = statement.count("\n") + 1
    expected = [[f"main.py:{line}", "pkg/sub/a.py:1"]]
    assert chain(write, {**PACKAGE, "main.py": statement}) == expected


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("pkg/sub/b.py", "from . import a"),
        ("pkg/sub/b.py", "from .a import x"),
        ("pkg/b.py", "from .sub import a"),
        ("pkg/b.py", "from . import sub; from .sub.a import x"),
        ("pkg/other/b.py", "from ..sub import a"),
    ],
)
def test_relative_imports_lead_to_it(write: Write, name: str, statement: str) -> None:
    assert chain(write, {**PACKAGE, name: statement}) == [[f"{name}:1", "pkg/sub/a.py:1"]]


def test_the_shortest_way_from_the_outermost_file(write: Write) -> None:
    files = {
        "main.py": "import long1\n\nimport b",
        "long1.py": "import long2",
        "long2.py": "import b",
        "b.py": "import c",
        "c.py": "import b\nimport omni",
    }
    assert chain(write, files) == [["main.py:3", "b.py:1", "c.py:2"]]


def test_files_in_a_circle_have_no_outermost(write: Write) -> None:
    files = {"a.py": "import b", "b.py": "import a\nimport omni"}
    assert chain(write, files) == [["a.py:1", "b.py:2"]]


def test_a_package_is_imported_with_what_is_in_it(write: Write) -> None:
    files = {"pkg/__init__.py": "import omni", "pkg/a.py": "", "main.py": "import pkg.a"}
    assert chain(write, files) == [["main.py:1", "pkg/__init__.py:1"]]


def test_packages_without_init_and_neighbours(write: Write) -> None:
    files = {
        "src/space/deep/a.py": "import omni",
        "src/one.py": "import space.deep.a",
        "tools/a.py": "",
        "tools/run.py": "import a",
    }
    assert chain(write, files) == [["src/one.py:1", "src/space/deep/a.py:1"]]


def test_a_module_of_pythons_own_is_not_ours(write: Write) -> None:
    files = {"lib/json.py": "import omni", "main.py": "import json"}
    assert chain(write, files) == [["lib/json.py:1"]]


def test_only_what_an_entry_reaches(write: Write) -> None:
    files = {
        "sim.py": "import omni\nimport shared",
        "policy.py": "import shared\nif TYPE_CHECKING:\n    import only_types",
        "shared.py": "def f():\n    import late\nimport allowed  # guard: allow",
        "late.py": "import omni",
        "only_types.py": "import omni",
        "allowed.py": "import omni",
    }
    late = ["policy.py:1", "shared.py:2", "late.py:1"]
    assert chain(write, files, "policy.py") == [late]
    assert chain(write, files, "policy.py", "sim.py") == [late, ["sim.py:1"]]
    assert len(chain(write, files)) == 4


def test_an_entry_that_is_not_there_is_a_problem(write: Write) -> None:
    folder = write({"a.py": ""})
    report = scan([str(folder)], ["omni"], entries=[f"{folder}/b.py"])
    assert [each.place.path for each in report.problems] == [f"{folder}/b.py"]


def test_a_broken_file_is_a_problem_whoever_reaches_it(write: Write) -> None:
    folder = write({"a.py": "import omni", "b.py": "("})
    report = scan([str(folder)], ["omni"], entries=[f"{folder}/a.py"])
    assert len(report.findings) == len(report.problems) == 1
