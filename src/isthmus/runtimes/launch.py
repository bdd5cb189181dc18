"""Everything a program of a runtime is started with: what is exec'd, and in which environment.

The interpreter is found and the environment put together (`surroundings`); the interpreter is
examined in exactly that; and what does not fit is said before anything runs. Starting is left to
the caller: `isthmus run` becomes the program, a supervisor spawns it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.cleaning import Dropped
from isthmus.runtimes.examine import Examination, examine
from isthmus.runtimes.located import Located
from isthmus.runtimes.programs import ISTHMUS, PYTHONS, package_folder, write_programs
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.surroundings import Surroundings, surround
from isthmus.runtimes.versions import Specifier

__all__ = ["Launch", "complaints", "prepare"]

OLDEST = ">=3.10"  # what isthmus itself runs on

_NOTHING: Mapping[str, str] = MappingProxyType({})
_PYTHON_NAME = re.compile(r"python(?:3(?:\.\d+)?)?\Z")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a program is started.

    Attributes:
        argv: its arguments, the program's name first.
        executable: what is exec'd, absolute; a name without a folder was found nowhere.
        environ: its whole environment.
        examination: what its interpreter answered; None for a program outside every runtime.
        dropped: what the caller's environment had and this one has not.
    """

    argv: tuple[str, ...]
    executable: Path
    environ: dict[str, str]
    examination: Examination | None
    dropped: tuple[Dropped, ...]


def prepare(
    runtime: RuntimeSettings | None,
    command: Sequence[str],
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    extra: Mapping[str, str] = _NOTHING,
    cwd: Path | None = None,
) -> Launch:
    """Work out how a command is started in a runtime, and make sure that it can be.

    Args:
        runtime: whose interpreter and environment it gets. None is a program of the caller's own,
            in the caller's environment as it is; only `isthmus` is still this one.
        command: the program and its arguments. `python`, `python3` and `isthmus` are the runtime's,
            any other name is looked up on its PATH.
        state: where isthmus keeps what it makes.
        environ: as `os.environ`.
        say: told, in one line, what takes long.
        extra: variables set after all others.
        cwd: where the command will run, and where `./program` is; None is here.

    Raises:
        EnvironmentSetupError: the interpreter is missing, broken, or not what the runtime asks for.
    """
    if not command:
        raise EnvironmentSetupError("expected a command to start, got none")
    cwd = Path.cwd() if cwd is None else cwd
    if runtime is None:
        return _outside(command, {**environ, **extra}, cwd)
    around = surround(runtime, state, environ, say)
    child = {**around.environ, **extra}
    try:
        examination = examine(
            around.located, child, runtime.must_import, runtime.forbid_import, state.probes, say
        )
    except EnvironmentSetupError as error:
        raise EnvironmentSetupError(f"{runtime.called} {error}") from error
    problems = complaints(runtime, examination)
    if problems:
        raise EnvironmentSetupError(_complaint(runtime, around.located, examination, problems))
    minor = f"python{examination.minor}"
    write_programs(state, runtime.name, around.located.python, (*PYTHONS, minor))
    argv = _own_programs(command, runtime, around, minor)
    executable = around.located.python if argv else _looked_up(command[0], child, cwd)
    return Launch(argv or tuple(command), executable, child, examination, around.dropped)


def complaints(runtime: RuntimeSettings, examination: Examination) -> list[str]:
    """List what keeps programs of a runtime from starting in an interpreter, a line or more each.

    Raises:
        EnvironmentSetupError: `requires-python` cannot be understood.
    """
    found = [
        f"{whose} {text}, and this is {examination.version}"
        for whose, text in (
            ("isthmus needs Python", OLDEST),
            ("requires-python is", runtime.requires_python),
        )
        if not Specifier.parse(text).allows(examination.version_info)
    ]
    found += [
        f"{each.path} is on its import path: {each.why}. Take it out of `pythonpath`, or remove "
        "what puts it there (a .pth file, python.sh)"
        for each in examination.foreign
    ]
    found += [
        f"must_import: {name} cannot be imported: {error}"
        for name, error in examination.failed_imports.items()
    ]
    return found


def _own_programs(
    command: Sequence[str], runtime: RuntimeSettings, around: Surroundings, minor: str
) -> tuple[str, ...]:
    """Say how the runtime's own Python and isthmus are started; nothing for another program."""
    name, *rest = command
    python = around.located.python
    if name in (*PYTHONS, minor):
        return (os.fspath(python), *rest)
    if name == ISTHMUS:
        return (os.fspath(python), os.fspath(around.programs / ISTHMUS), *rest)
    if _PYTHON_NAME.match(name):
        raise EnvironmentSetupError(
            f"{name} is not the Python of runtime {runtime.name}, which is {minor} "
            f"({python}); write python, or use another runtime"
        )
    return ()


def _looked_up(name: str, environ: Mapping[str, str], cwd: Path) -> Path:
    """Find a program as a shell would, from `cwd`; the bare name if it is nowhere."""
    if os.sep in name:
        return cwd / name
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(name, path=os.pathsep.join(os.fspath(cwd / each) for each in folders))
    return Path(found or name)


# For an isthmus outside every runtime: the Python and the package that run this.
_THIS_ISTHMUS = """\
import sys
sys.path.append({parent!r})
from isthmus.cli.main import main
sys.exit(main())
"""


def _outside(command: Sequence[str], environ: dict[str, str], cwd: Path) -> Launch:
    """Start a command as the caller's shell would."""
    name, *rest = command
    if name != ISTHMUS:
        return Launch(tuple(command), _looked_up(name, environ, cwd), environ, None, ())
    program = _THIS_ISTHMUS.format(parent=os.fspath(package_folder().parent))
    argv = (sys.executable, "-I", "-c", program, *rest)
    return Launch(argv, Path(sys.executable), environ, None, ())


def _complaint(
    runtime: RuntimeSettings, located: Located, examination: Examination, problems: Sequence[str]
) -> str:
    from isthmus.runtimes.faults.explaining import explain

    head = (
        f"{runtime.called} cannot be used: Python {examination.version}, "
        f"{located.python} ({located.origin})"
    )
    lines = [f"- {problem}" for problem in problems]
    for match in explain("\n".join(examination.failed_imports.values()))[:1]:
        lines += [f"This is: {match.fault.title}", match.fix]
    return "\n".join([head, *(f"  {line}" for part in lines for line in part.splitlines())])
