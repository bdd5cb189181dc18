from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.expand import expand, fill, malformed, unset

FOLDER = Path("/project")
ENVIRON = {"HOME": "/home/me", "ROOT": "/opt/sim", "EMPTY": "", "TILDE": "~/x", "NESTED": "${ROOT}"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b", "/project/a/b"),
        (".", "/project"),
        ("/a", "/a"),
        ("~", "/home/me"),
        ("~/a", "/home/me/a"),
        ("~other", "/project/~other"),
        ("a/~", "/project/a/~"),
        ("${ROOT}", "/opt/sim"),
        ("${ROOT}/python.sh", "/opt/sim/python.sh"),
        ("x${ROOT}", "/project/x/opt/sim"),
        ("${TILDE}", "/home/me/x"),
        ("${NESTED}", "/project/${ROOT}"),
        ("$ROOT", "/project/$ROOT"),
        ("${{ROOT}}", "/project/${ROOT}"),
        ("../a", "/project/../a"),
    ],
)
def test_a_path_becomes_absolute(text: str, path: str) -> None:
    assert expand(text, FOLDER, ENVIRON) == Path(path)


@pytest.mark.parametrize("name", ["NO", "EMPTY"])
def test_a_variable_that_is_not_set_is_named(name: str) -> None:
    with pytest.raises(EnvironmentSetupError, match=rf"variable {name}, .*export {name}="):
        expand(f"${{ROOT}}/${{{name}}}", FOLDER, ENVIRON)


def test_an_empty_variable_is_a_value_outside_of_paths() -> None:
    assert fill("<${EMPTY}>", ENVIRON) == "<>"
    with pytest.raises(EnvironmentSetupError, match="NO"):
        fill("${NO}", ENVIRON)


def test_a_home_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/the/process")
    assert expand("~/a", FOLDER, {}) == Path("/home/of/the/process/a")


def test_unset_names_each_once() -> None:
    assert unset("${B}${A}${ROOT}${B}${{C}}$D", ENVIRON) == ("B", "A")


@pytest.mark.parametrize(
    ("text", "is_malformed"),
    [
        ("${A}", False),
        ("${{A:-b}}", False),
        ("$A {b} $", False),
        ("${", True),
        ("${A", True),
        ("${1}", True),
        ("${}", True),
        ("${A:-b}", True),
        ("${A}${", True),
    ],
)
def test_what_begins_as_a_variable_and_is_none(text: str, is_malformed: bool) -> None:
    assert malformed(text) is is_malformed
