"""Python interpreters and environments: find them, choose two, build what runs in them.

Standard library only, and importable on a machine where nothing is installed yet.
"""

from __future__ import annotations

from isthmus.runtimes.environments import (
    Environment,
    EnvironmentSpec,
    built_environments,
    ensure_environment,
    read_environment,
)
from isthmus.runtimes.installers import Installer, PipInstaller, UvInstaller, choose_installer
from isthmus.runtimes.interpreters import (
    Interpreter,
    InterpreterPair,
    choose_pair,
    find_interpreters,
    newest_of_each_minor,
    probe,
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
