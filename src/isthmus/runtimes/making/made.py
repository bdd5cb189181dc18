"""An environment made on demand: a Python of this machine and the packages a runtime requires.

Nothing is run, and nothing is looked up, once the environment is what the lock says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from isthmus.errors import EnvironmentSetupError, NotBuiltError
from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.making.environments import (
    Environment,
    EnvironmentSpec,
    ensure_environment,
    is_current,
    missing_from,
    read_environment,
)
from isthmus.runtimes.making.folders import held
from isthmus.runtimes.making.installers import PipInstaller, Say, UvInstaller
from isthmus.runtimes.making.requirements import (
    Requirements,
    read_lock,
    read_requirements,
    write_lock,
)
from isthmus.runtimes.making.resolving import Question, Resolution, resolve
from isthmus.runtimes.making.tools import get_installer
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

__all__ = ["ensure_made", "lock_of", "made_environment"]


def lock_of(runtime: RuntimeSettings, state: StateFolder) -> Path:
    """Name the lock of a runtime: the one it names, or one beside the manifest."""
    return runtime.lock or state.root.parent / "isthmus-locks" / f"{runtime.name}.txt"


def made_environment(runtime: RuntimeSettings, state: StateFolder) -> Environment | None:
    """Say what environment was made for a runtime; None if none was finished."""
    return read_environment(state.environments / runtime.name)


def ensure_made(
    runtime: RuntimeSettings,
    interpreter: Interpreter,
    oldest: str,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Say,
    *,
    build: bool = True,
) -> Environment:
    """Lock a runtime's requirements and make its environment, where that is not done yet.

    Args:
        runtime: has requirements.
        interpreter: what the environment is made from.
        oldest: the oldest feature version that the lock is to hold for.
        state: where the environment is.
        environ: what uv and pip are set up with.
        say: told, in one line each, what is being made.
        build: False makes nothing and takes what is there.

    Raises:
        EnvironmentSetupError: it could not be made; or there is none and `build` is False.
    """
    try:
        requirements = read_requirements(runtime.requirements, runtime.folder)
    except EnvironmentSetupError as error:
        raise EnvironmentSetupError(f"{runtime.called} requirements: {error}") from error
    spec = EnvironmentSpec(runtime.name, state.environments / runtime.name, lock_of(runtime, state))
    if _is_done(spec, requirements, interpreter):
        environment = made_environment(runtime, state)
        assert environment is not None
        return environment
    if not build:
        return _as_it_is(runtime, state, say)
    installer = get_installer(state, interpreter, environ, say)
    with held(spec.folder.with_name(f"{runtime.name}.requirements")):
        lock = read_lock(spec.lock)
        if lock is None or not lock.fits(requirements, interpreter):
            say(f"locking the requirements of {runtime.name} in {spec.lock}, by {installer.name}")
            before = lock.body if lock else ""
            question = Question(requirements.text, requirements.folder, interpreter, oldest, before)
            write_lock(spec.lock, runtime.name, requirements, _resolved(question, installer, spec))
    return ensure_environment(spec, interpreter, lambda: installer, say)


def _resolved(
    question: Question, installer: UvInstaller | PipInstaller, spec: EnvironmentSpec
) -> Resolution:
    try:
        return resolve(question, installer)
    except EnvironmentSetupError as error:
        raise EnvironmentSetupError(
            f"[runtime.{spec.name}] no exact versions found for its requirements: {error}"
        ) from error


def _is_done(spec: EnvironmentSpec, requirements: Requirements, interpreter: Interpreter) -> bool:
    lock = read_lock(spec.lock)
    fits = lock is not None and lock.fits(requirements, interpreter)
    return fits and is_current(spec, interpreter)


def _as_it_is(runtime: RuntimeSettings, state: StateFolder, say: Say) -> Environment:
    environment = made_environment(runtime, state)
    if environment is None:
        raise NotBuiltError(
            f"the environment of [runtime.{runtime.name}] is not built yet: "
            f"`isthmus run {runtime.name} -- ...` builds it"
        )
    lost = missing_from(state.environments / runtime.name)
    why = f" ({_listed(lost)} gone from it)" if lost else ""
    say(
        f"the environment of {runtime.name} is out of date{why}; the next start brings it up to "
        "date"
    )
    return environment


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
