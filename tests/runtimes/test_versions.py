"""Which Pythons a text allows, and what is no version range."""

from __future__ import annotations

import re

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.versions import Specifier, is_version_range


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("", ["3.10.0", "4.0.0"], []),
        ("3", ["3.0.0", "3.11.7"], ["2.7.18", "4.0.0"]),
        ("3.11", ["3.11.0", "3.11.7"], ["3.10.13", "3.12.0", "3.1.1"]),
        ("3.11.*", ["3.11.0", "3.11.7"], ["3.10.13", "3.12.0"]),
        ("3.11.7", ["3.11.7"], ["3.11.6", "3.11.8", "3.12.7"]),
        ("3.11.7.*", ["3.11.7"], ["3.11.6"]),
        ("3.11\n", ["3.11.7"], ["3.12.0"]),
        ("==3.11.*", ["3.11.0", "3.11.9"], ["3.12.0"]),
        ("==3.11", ["3.11.0"], ["3.11.1"]),  # as PEP 440 has it
        ("==3.11.7", ["3.11.7"], ["3.11.8"]),
        ("!=3.11.*", ["3.10.9", "3.12.0"], ["3.11.0", "3.11.9"]),
        ("!=3.11.7", ["3.11.8"], ["3.11.7"]),
        (">=3.11", ["3.11.0", "3.14.0", "4.0.0"], ["3.10.99"]),
        (">3.11", ["3.11.1", "3.12.0"], ["3.11.0", "3.10.9"]),
        (">3.11.7", ["3.11.8"], ["3.11.7"]),
        ("<=3.12", ["3.12.0", "3.11.9"], ["3.12.1"]),
        ("<3.13", ["3.12.99"], ["3.13.0"]),
        ("~=3.11", ["3.11.0", "3.13.2"], ["3.10.9", "4.0.0"]),
        ("~=3.11.4", ["3.11.4", "3.11.9"], ["3.11.3", "3.12.0"]),
        (">=3.11,<3.13", ["3.11.0", "3.12.9"], ["3.10.9", "3.13.0"]),
        (" >= 3.10 , != 3.11.* ,<3.13 ", ["3.10.0", "3.12.1"], ["3.11.7", "3.13.0", "3.9.9"]),
        (">=3.12,<3.11", [], ["3.11.0", "3.11.5", "3.12.0"]),
    ],
)
def test_what_a_text_allows(text: str, allowed: list[str], refused: list[str]) -> None:
    specifier = Specifier.parse(text)
    answers = {
        each: specifier.allows(tuple(map(int, each.split(".")))) for each in allowed + refused
    }
    assert answers == {**dict.fromkeys(allowed, True), **dict.fromkeys(refused, False)}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("3.11", "==3.11.*"),
        ("3.11.7", "==3.11.7"),
        (" >= 3.10, < 3.13 ", ">=3.10,<3.13"),
        ("~=3.11.4,!=3.11.6", "~=3.11.4,!=3.11.6"),
        ("  ", ""),
    ],
)
def test_what_it_means_is_written_as_other_tools_read_it(text: str, written: str) -> None:
    specifier = Specifier.parse(text)
    assert str(specifier) == specifier.text == written
    assert Specifier.parse(written) == specifier


@pytest.mark.parametrize(
    "text",
    [
        *("x", "3.", ".11", "3.11.7.1", "3.x", "3.11rc1", "3.11.0b1", "3.11.dev0", "1!3.11"),
        *("3.11+cpu", "===3.11", "=3.11", "=>3.11", ">=", ">=3.11,", ",", ">=3.11 <3.13"),
        *("^3.11", "3.11,,3.12"),
        *(">=3.11.*", "<3.12.*", "~=3.11.*", "~=3"),
    ],
)  # fmt: skip
def test_anything_else_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(EnvironmentSetupError, match=re.escape(repr(text))):
        Specifier.parse(text)


@pytest.mark.parametrize("text", ["3.11", ">=3.11", "<4", "==3.11.*", "!=3.11", "~=3.11", " 3.11"])
def test_a_range(text: str) -> None:
    assert is_version_range(text)


@pytest.mark.parametrize(
    "text", ["/usr/bin/python3", "~/envs/sim", ".envs/sim", "./3rdparty/python", "${ROOT}", "~", ""]
)
def test_a_path(text: str) -> None:
    assert not is_version_range(text)
