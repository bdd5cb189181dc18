"""Modules of the project that nobody named: said, or followed from a program."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from isthmus.guard.scan import Report, scan

from .conftest import Write

HELPER = "import omni.usd\n"


def check(write: Write, files: Mapping[str, str], path: str, *entries: str) -> Report:
    folder = write(files)
    return scan([f"{folder}/{path}"], ["omni"], entries=[f"{folder}/{each}" for each in entries])


def found(report: Report) -> list[str]:
    """The chain of each finding, by the names of files."""
    return [
        " -> ".join(os.path.basename(place.path) for place in (*each.importers, each.place))
        for each in report.findings
    ]


@pytest.mark.parametrize(
    ("main", "helper", "statement"),
    [
        ("my_policy/main.py", "helper.py", "import helper"),  # in the folder above
        ("my_policy/main.py", "helper/__init__.py", "import helper"),
        ("my_policy/main.py", "helper/far.py", "from helper import far"),
        ("my_policy/pkg/main.py", "helper.py", "from helper import x"),
        ("a/b/my_policy/main.py", "helper.py", "import helper"),  # up to the project's top
    ],
)
def test_a_module_above_the_paths(write: Write, main: str, helper: str, statement: str) -> None:
    files = {main: statement, helper: HELPER, "pyproject.toml": ""}
    path = main.rpartition("my_policy")[0] + "my_policy"
    report = check(write, files, path)
    assert report.findings == ()
    (note,) = report.notes
    assert note.place.path.endswith(main) and os.path.basename(helper) in note.message
    report = check(write, files, path, main)
    assert found(report) == [f"main.py -> {os.path.basename(helper)}"]
    assert report.notes == ()
    assert os.path.exists(report.findings[0].place.path)


def test_without_a_project_it_is_the_folder_around_what_was_named(write: Write) -> None:
    files = {"p/q/my_policy/main.py": "import near, far", "p/q/near.py": "", "p/far.py": ""}
    (note,) = check(write, files, "p/q/my_policy").notes
    assert "near.py" in note.message and "far.py" not in note.message


def test_chains_of_modules_are_followed_and_relative_imports_too(write: Write) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/policy/__init__.py": "",
        "pkg/policy/main.py": "from ..common import step\nfrom .. import other",
        "pkg/common/__init__.py": "",
        "pkg/common/step.py": "import deep",
        "pkg/other.py": "",
        "deep.py": HELPER,
    }
    report = check(write, files, "pkg/policy", "pkg/policy/main.py")
    assert found(report) == ["main.py -> step.py -> deep.py"]
    (note,) = check(write, files, "pkg/policy").notes
    assert "and further on 3 others" in note.message  # the packages' own files, and other.py


def test_other_peoples_modules_and_pythons_own_are_left_alone(write: Write) -> None:
    files = {
        "pyproject.toml": "",
        "pkg/__init__.py": "",
        "pkg/numpy.py": HELPER,  # in a package: `import numpy` is another
        "pkg/policy/main.py": "import json, numpy, torch, omni_free",
        "json.py": HELPER,
        "site-packages/torch.py": HELPER,
        "venv/pyvenv.cfg": "",
        "venv/omni_free.py": HELPER,
    }
    report = check(write, files, "pkg/policy", "pkg/policy/main.py")
    assert report.findings == report.notes == ()


def test_what_is_forbidden_is_not_followed(write: Write) -> None:
    files = {"my_policy/main.py": "import omni", "omni.py": "import omni.usd"}
    report = check(write, files, "my_policy", "my_policy/main.py")
    assert found(report) == ["main.py"] and report.files == 1


def test_a_neighbour_that_cannot_be_read_is_a_problem(write: Write) -> None:
    files = {"my_policy/main.py": "import helper", "helper.py": "def"}
    report = check(write, files, "my_policy", "my_policy/main.py")
    assert [os.path.basename(each.place.path) for each in report.problems] == ["helper.py"]
