"""Python interpreters and environments: find them, choose two, build what runs in them.

Standard library only, and importable on a machine where nothing is installed yet. The names below
are loaded when they are first used: most of a start needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.runtimes.interpreters import (
        Interpreter,
        InterpreterPair,
        choose_pair,
        find_interpreters,
        newest_of_each_minor,
        probe,
    )
    from isthmus.runtimes.making.environments import (
        Environment,
        EnvironmentSpec,
        built_environments,
        ensure_environment,
        read_environment,
    )
    from isthmus.runtimes.making.installers import (
        Installer,
        PipInstaller,
        UvInstaller,
        choose_installer,
    )

__all__ = [
    "Environment",
    "EnvironmentSpec",
    "Installer",
    "Interpreter",
    "InterpreterPair",
    "PipInstaller",
    "UvInstaller",
    "built_environments",
    "choose_installer",
    "choose_pair",
    "ensure_environment",
    "find_interpreters",
    "newest_of_each_minor",
    "probe",
    "read_environment",
]

_DEFINED = {
    "making.environments": (
        "Environment",
        "EnvironmentSpec",
        "built_environments",
        "ensure_environment",
        "read_environment",
    ),
    "making.installers": ("Installer", "PipInstaller", "UvInstaller", "choose_installer"),
    "interpreters": (
        "Interpreter",
        "InterpreterPair",
        "choose_pair",
        "find_interpreters",
        "newest_of_each_minor",
        "probe",
    ),
}
_HOME = {name: module for module, names in _DEFINED.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for, and keep it."""
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.runtimes' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names, loaded or not."""
    return sorted({*globals(), *__all__})
