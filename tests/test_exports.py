"""The public interface is a list: adding to it or taking from it is a decision."""

from __future__ import annotations

import importlib
import re

import pytest

import isthmus

PUBLIC = [
    "ActionField",
    "Contract",
    "Error",
    "Field",
    "Limits",
    "Link",
    "Rate",
    "__version__",
    "connect",
    "errors",
    "randomization_hash",
]


def test_the_public_names_are_these() -> None:
    assert sorted(isthmus.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(isthmus, name) is not None
    assert name in dir(isthmus)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        isthmus.conect  # noqa: B018


def test_every_error_ends_in_error_and_is_drawn_in_the_tree() -> None:
    errors = importlib.import_module("isthmus.errors")
    for name in errors.__all__:
        error = getattr(errors, name)
        assert name.endswith("Error")
        assert issubclass(error, errors.Error)
        assert name == "Error" or re.search(rf"─ {name}\b", errors.__doc__)
