"""Installing the guard in a running interpreter, and taking it out again."""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

from isthmus import guard
from isthmus.errors import EnvironmentSetupError, Error, ForbiddenImportError
from isthmus.guard.hook import match

pytestmark = pytest.mark.usefixtures("unguarded")


def refused(name: str) -> ForbiddenImportError:
    with pytest.raises(ForbiddenImportError) as caught:
        import_module(name)
    return caught.value


def test_from_install_to_uninstall() -> None:
    assert guard.install() == ()
    error = refused("isaacsim.core.api")
    assert isinstance(error, Error)
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "isaacsim"
    guard.uninstall()
    assert guard.forbidden() == {}
    with pytest.raises(ModuleNotFoundError, match="No module named 'isaacsim'"):
        import_module("isaacsim")
    guard.uninstall()  # once more does nothing


def test_the_error_crosses_between_processes_whole() -> None:
    guard.install()
    error = refused("carb")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.name) == (type(error), str(error), "carb")


def test_it_names_the_place_that_installed_it() -> None:
    guard.install(["omni"])
    assert "isthmus.guard.install() at " in guard.forbidden()["omni"]
    assert f"{__file__}:" in str(refused("omni"))


def test_a_second_call_adds_and_the_first_word_holds() -> None:
    guard.install(["omni", "carb"], by="the first")
    guard.install(["carb", "pxr.Usd"], by="the second")
    assert guard.forbidden() == {"omni": "the first", "carb": "the first", "pxr.Usd": "the second"}
    assert "the first forbids carb" in str(refused("carb"))
    assert find_spec("pxr") is None


def test_a_second_call_puts_it_first_again() -> None:
    class Other:
        def find_spec(self, *_: object) -> None:
            return None

    guard.install(["omni"])
    finder, other = sys.meta_path[0], Other()
    sys.meta_path.insert(0, other)  # type: ignore[arg-type]
    try:
        guard.install(["omni"])
        assert sys.meta_path[0] is finder
        assert sys.meta_path.count(finder) == 1
    finally:
        sys.meta_path.remove(other)  # type: ignore[arg-type]


def test_what_is_loaded_already_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("omni", "omni.usd", "omnibus"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "carb", None)  # Python's own way to forbid
    with pytest.raises(
        ForbiddenImportError, match="^omni, omni.usd must not be imported"
    ) as caught:
        guard.install()
    assert caught.value.name == "omni"
    assert guard.forbidden() == {}
    assert guard.install(allow_loaded=True) == ("omni", "omni.usd")
    refused("pxr")


@pytest.mark.parametrize("name", ["", ".", "omni.", ".omni", "omni/usd", "a b", "isthmus.guard"])
def test_what_is_no_modules_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected the dotted name of a module"):
        guard.install(["carb", name])
    assert guard.forbidden() == {}


def test_one_name_is_one_name() -> None:
    guard.install("omni")
    assert set(guard.forbidden()) == {"omni"}


def test_what_the_environment_wants() -> None:
    default = ("omni", "pxr")
    assert guard.install_wanted({}) == ()
    assert guard.install_wanted({guard.VARIABLE: ""}, default) == ()
    assert guard.forbidden() == {}
    assert guard.install_wanted({guard.VARIABLE: " carb , ,omni.usd"}, default) == (
        "carb",
        "omni.usd",
    )
    assert set(guard.forbidden().values()) == {guard.VARIABLE}
    guard.uninstall()
    assert guard.install_wanted({}, default, by="the gateway") == default
    assert guard.forbidden() == {"omni": "the gateway", "pxr": "the gateway"}
    guard.uninstall()
    guard.install_wanted({guard.VARIABLE: "torch", "ISTHMUS_RUNTIME": "sim"})
    assert guard.forbidden() == {"torch": "forbid_import of [runtime.sim] in isthmus.toml"}


@pytest.mark.parametrize("said", ["omni/usd", "carb,1", "isthmus"])
def test_an_environment_that_names_no_module(said: str) -> None:
    with pytest.raises(EnvironmentSetupError, match="^ISTHMUS_FORBID_IMPORT: expected the dotted"):
        guard.install_wanted({guard.VARIABLE: said})
    assert guard.forbidden() == {}


def test_names_below_and_names_beside() -> None:
    assert match("omni", ("carb", "omni")) == "omni"
    assert match("omni.usd.x", ("omni.usd",)) == "omni.usd"
    assert match("omni", ("omni.usd",)) == ""
    assert match("omnibus", ("omni",)) == ""
