"""Ask Isaac Sim's `python.sh` which interpreter it starts, in which environment, once.

Theory of operation. The script sources `setup_python_env.sh`, which puts the bundled interpreter's
folders on PYTHONPATH and LD_LIBRARY_PATH, sets a few variables of its own, and runs the
interpreter; whatever that ends with, the script ends with 1. So it is run once, with a program that
prints its `sys.executable`, its own import folders and its environment between two marks. What
differs from the environment that the script was given is what it added. From then on the
interpreter is started itself, with those variables: its exit status, its signals and its terminal
are its own.

The answer is kept as long as the scripts and those they source say the same, no script beside them
changed, the interpreter is the same file, and those variables that the scripts read have the same
values.

The script puts the interpreter's own standard library on PYTHONPATH. The interpreter has it anyway,
and every other Python that a program starts would inherit it, and die of it: it is left out.

An empty element of PYTHONPATH or LD_LIBRARY_PATH means the current folder. The script makes one
when it appends to a variable that is not set; nobody asked for it, and it is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.asking import Answer, ask
from isthmus.runtimes.probes import identity, read_facts, write_facts

__all__ = ["IsaacPython", "ask_isaac", "find_python_sh"]

SCRIPT = "python.sh"
_SETUP = "setup_python_env.sh"
_BUNDLED = Path("kit", "python", "bin", "python3")
# The folder itself, what a source build makes, and the link of an Isaac Lab checkout.
_PLACES = (
    ".",
    "_build/linux-x86_64/release",
    "_build/linux-aarch64/release",
    "_isaac_sim",
)

_TIMEOUT = 60.0  # seconds; in a container the script first looks for Vulkan
_VERSION = 2

# The marks are put together by the program: a script that shows the program does not show them.
_MARK = "isthmus-answer"
_PROGRAM = """
import json, os, site, sys
venv = os.path.join(os.path.dirname(os.path.dirname(sys.executable)), 'pyvenv.cfg')
packages = [] if os.path.exists(venv) else site.getsitepackages()
mark = '-'.join(('isthmus', 'answer'))
answer = json.dumps([sys.executable, dict(os.environ), sys.path, packages])
print('\\n<%s>%s</%s>' % (mark, answer, mark))
"""
_ANSWER = re.compile(rf"<{_MARK}>(.*)</{_MARK}>")

# What bash, and Python on its way up, set for themselves.
_OF_THE_SHELL = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "LC_CTYPE"})
_PATHS = frozenset({"PYTHONPATH", "LD_LIBRARY_PATH"})
_READ = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
# `source "$here/name.sh"`, `. /etc/name.sh`: what stands for a folder is the script's own.
_SOURCES = re.compile(
    r"""(?:^|[\s;&({])(?:source|\.)[ \t]+["']?(?:\$\(.*\)"?/|\$\{?\w+\}?"?/)?([^"'\s;$]+)""",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class IsaacPython:
    """What `python.sh` would start.

    Attributes:
        python: the interpreter itself.
        environ: variables the script adds or changes.
    """

    python: Path
    environ: Mapping[str, str]


def find_python_sh(path: Path) -> Path | None:
    """Find the script of an installation, a source build or an Isaac Lab checkout.

    Args:
        path: the script itself, or a folder.

    Returns:
        The script, or None if `path` is something else.
    """
    if path.name == SCRIPT and os.path.isfile(path):
        return path
    scripts = (path / place / SCRIPT for place in _PLACES)
    return next((script for script in scripts if os.path.isfile(script)), None)


def ask_isaac(python_sh: Path, environ: Mapping[str, str], folder: Path) -> IsaacPython:
    """Learn what the script would start; it is run only if that is not known yet.

    Args:
        python_sh: the script.
        environ: what the script is given: a clean environment.
        folder: where answers are kept.

    Raises:
        EnvironmentSetupError: it does not start a Python; with what that Python really said.
    """
    cache = folder / f"isaac-{hashlib.sha256(os.fsencode(python_sh)).hexdigest()[:16]}.json"
    question = _question(python_sh, environ)
    kept = read_facts(cache)
    if kept.get("question") == question:
        python = Path(kept["python"])
        if kept["identity"] == identity(python):
            return IsaacPython(python, kept["environ"])
    executable, given, library, packages = _run(python_sh, environ)
    added = dict(_added(given, environ))
    if "PYTHONPATH" in added:
        added["PYTHONPATH"] = _without_own(added["PYTHONPATH"], library, packages)
    isaac = IsaacPython(Path(executable), added)
    facts = {
        "question": question,
        "python": executable,
        "identity": identity(isaac.python),
        "environ": isaac.environ,
    }
    write_facts(cache, facts)
    return isaac


def _question(python_sh: Path, environ: Mapping[str, str]) -> list[Any]:
    """Put together all that the answer depends on, in a form that JSON gives back unchanged."""
    texts = _scripts(python_sh)
    read = sorted({name for text in texts.values() for name in _READ.findall(text)})
    values = {name: environ[name] for name in read if name in environ}
    digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()
    # One may be sourced in a way that is not understood here.
    beside = sorted(python_sh.parent.glob("*.sh"))
    return [_VERSION, os.fspath(python_sh), digest, values, [identity(each) for each in beside]]


def _scripts(python_sh: Path) -> dict[str, str]:
    """Read the script, the one that is known to be sourced, and all that they source in turn."""
    texts: dict[str, str] = {}
    unread = [python_sh, python_sh.with_name(_SETUP)]
    while unread:
        script = unread.pop()
        if os.fspath(script) in texts or not os.path.isfile(script):
            continue
        text = script.read_text(encoding="utf-8", errors="replace")
        texts[os.fspath(script)] = text
        unread += [script.parent / name for name in _SOURCES.findall(text)]
    return texts


def _run(
    python_sh: Path, environ: Mapping[str, str]
) -> tuple[str, dict[str, str], list[str], list[str]]:
    """Run the script; its Python, its variables, that Python's standard library and packages."""
    try:
        # Without site: a broken package of the user's must not keep us from asking.
        answer = ask([python_sh, "-I", "-S", "-c", _PROGRAM], environ, _TIMEOUT)
    except OSError as error:
        raise EnvironmentSetupError(_not_started(python_sh, error)) from error
    found = _ANSWER.findall(answer.stdout)
    if not found:
        raise EnvironmentSetupError(_no_python(python_sh, environ, answer))
    executable, given, library, packages = json.loads(found[-1])
    if not executable:
        raise EnvironmentSetupError(f"{python_sh} started a Python that does not know where it is")
    return executable, given, library, packages


def _without_own(pythonpath: str, library: Iterable[str], packages: Iterable[str]) -> str:
    """Leave out the folders that the interpreter has anyway.

    Its standard library then comes after the simulator's folders and no longer before them, which
    matters only to a module there that has the name of one of the library. Its site-packages are
    left out only where they come last: of a package that is there and in a `pip_prebundle` too, the
    one that the user installed is to be found first, as by python.sh.
    """
    elements = [part for part in pythonpath.split(os.pathsep) if part]
    inherent, installed = ({os.path.realpath(each) for each in own} for own in (library, packages))
    elements = [each for each in elements if os.path.realpath(each) not in inherent]
    while elements and os.path.realpath(elements[-1]) in installed:
        elements.pop()
    return os.pathsep.join(elements)


def _added(given: Mapping[str, str], environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name, value in given.items():
        if name in _OF_THE_SHELL or environ.get(name) == value:
            continue
        if name in _PATHS:
            value = os.pathsep.join(part for part in value.split(os.pathsep) if part)
        yield name, value


def _not_started(python_sh: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{python_sh} cannot be started: chmod +x {python_sh}"
    if isinstance(error, TimeoutError):
        return f"{python_sh} did not start its Python in {_TIMEOUT:g} s; run it by hand to see why"
    return f"{python_sh} cannot be started: {error}"


def _no_python(python_sh: Path, environ: Mapping[str, str], answer: Answer) -> str:
    """Say what went wrong inside; the script's own status is 1 for everything."""
    said = f"\n{answer.last_words()}" if answer.last_words() else ""
    first = f"{python_sh} did not start its Python"
    if " " in os.fspath(python_sh.parent):
        return f"{first}: it cannot work in a folder with a space in its name; move it{said}"
    python = Path(environ.get("PYTHONEXE") or python_sh.parent / _BUNDLED)
    return f"{first} ({_really(python, environ)}).{said}"


def _really(python: Path, environ: Mapping[str, str]) -> str:
    """Start the interpreter without the script, to learn how it really ends."""
    if not os.path.exists(python):
        where = f"leads to {os.readlink(python)}, which" if os.path.islink(python) else ""
        return f"{python} {where} is not there: the installation is not complete"
    try:
        answer = ask([python, "-I", "-S", "-c", _PROGRAM], environ, _TIMEOUT)
    except OSError as error:
        return f"{python} cannot be started either: {error}"
    if _ANSWER.search(answer.stdout):
        return f"by itself {python} starts, so it is the script, or what it sets, that is wrong"
    words = answer.last_words(3)
    return f"by itself {python} ends with {answer.ending}" + (f": {words}" if words else "")
