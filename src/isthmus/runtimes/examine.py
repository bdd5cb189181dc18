"""Run an interpreter once, in the environment its program will get, and hear what it is.

The answer is kept as long as nothing it depends on changed (`recall`). Only a good answer is kept,
so that whoever mends something need not tell us.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.asking import end_session, has_ended, text_of
from isthmus.runtimes.lastwords import shortened
from isthmus.runtimes.recall import key_of, recall, remember

if TYPE_CHECKING:
    from isthmus.runtimes.located import Located

__all__ = ["Examination", "Foreign", "examine"]

_MARK = "--isthmus-examination--"  # as in examine_program
_TIMEOUT = 300.0  # seconds; a simulator's first import compiles and downloads nothing, yet is slow
_PATIENCE = 2.0  # seconds until a person is told what they wait for
_LAST_LINES = 20
# What every Python understands: `examine_program` needs 3.7. It says just enough to be refused.
_ENTRY = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < (3, 7):
    import json, platform
    none = ("sys_path", "foreign", "present_forbidden", "loaded")
    print("\\n%sanswer %s" % (sys.argv[3], json.dumps(dict(
        dict.fromkeys(none, []),
        python=sys.executable, version=".".join(map(str, sys.version_info[:3])),
        implementation=platform.python_implementation().lower(), soabi="", numpy="", isthmus="",
        prefix=sys.prefix, base_prefix=getattr(sys, "base_prefix", sys.prefix), user_site=False,
        packages={}, failed_imports={}, abilities=dict(memfd="", eventfd=False, pidfd=False),
    ))))
else:
    exec(sys.argv[2])
"""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An import folder that was made for another interpreter.

    Attributes:
        path: the entry of `sys.path`.
        why: what it is, for a person.
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What an interpreter answered.

    Attributes:
        python: its `sys.executable`.
        version: such as "3.11.7".
        implementation: such as "cpython".
        soabi: which compiled extensions it loads, such as "cpython-311-x86_64-linux-gnu".
        prefix: of its environment.
        base_prefix: of the Python that was made from.
        sys_path: where it imports from, without the script's own folder.
        foreign: entries of it that belong to another interpreter.
        numpy: version of the numpy it would import, "" without one.
        packages: version of each installed distribution, by its normalised name.
        failed_imports: what the import of each required module said, where it failed.
        present_forbidden: forbidden modules that are installed; the guard keeps them out.
        abilities: "memfd" ("os", "syscall" or ""), "eventfd" and "pidfd" (True or False).
        isthmus: version of the isthmus it would import, "" without one.
        user_site: True if packages of one user, for every Python, are on the path.
    """

    python: str
    version: str
    implementation: str
    soabi: str
    prefix: str
    base_prefix: str
    sys_path: tuple[str, ...]
    foreign: tuple[Foreign, ...]
    numpy: str
    packages: Mapping[str, str]
    failed_imports: Mapping[str, str]
    present_forbidden: tuple[str, ...]
    abilities: Mapping[str, str | bool]
    isthmus: str
    user_site: bool

    @property
    def minor(self) -> str:
        """The feature version, such as "3.11"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def version_info(self) -> tuple[int, int, int]:
        """The version as numbers."""
        major, minor, micro = map(int, self.version.split("."))
        return major, minor, micro

    @property
    def is_good(self) -> bool:
        """Whether nothing in it stands in the way of a program."""
        return not self.foreign and not self.failed_imports


def examine(
    located: Located,
    environ: Mapping[str, str],
    must_import: Sequence[str] = (),
    forbid_import: Sequence[str] = (),
    cache: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Examination:
    """Ask an interpreter what it is, or read what it answered before.

    Args:
        located: the interpreter.
        environ: exactly what its program will get.
        must_import: modules that are imported, for real.
        forbid_import: modules that are looked for, and not imported.
        cache: a folder for answers; None asks in any case.
        say: told, in one line, when it takes long.

    Raises:
        EnvironmentSetupError: it does not start, dies or does not answer; with its own last words
            and what they mean.
    """
    program = Path(__file__).with_name("examine_program.py").read_text(encoding="utf-8")
    asked = json.dumps({"must_import": list(must_import), "forbid_import": list(forbid_import)})
    question = [os.fspath(located.python), asked, _ENTRY, program]
    key = key_of(question, environ, located.environ, imports=bool(must_import))
    known = None if cache is None else _known(cache, key)
    if known is not None:
        return known
    answer = _ask(located, environ, program, asked, say)
    examination = _understood(answer)
    if cache is not None and examination.is_good:
        with suppress(OSError):  # a full disk costs the next start its speed, not this one its run
            remember(cache, key, located.python, answer)
    return examination


def _known(cache: Path, key: str) -> Examination | None:
    """Read what was answered before; None if that is nothing, torn, or no longer true."""
    try:
        return _understood(recall(cache, key))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _understood(answer: Mapping[str, Any]) -> Examination:
    """Give an answer its types.

    Raises:
        TypeError: it has other fields; ValueError likewise.
    """
    lists = {name: tuple(answer[name]) for name in ("sys_path", "present_forbidden")}
    foreign = tuple(Foreign(path, why) for path, why in answer["foreign"])
    facts = {name: value for name, value in answer.items() if name != "loaded"}
    return Examination(**{**facts, **lists, "foreign": foreign})


def _ask(
    located: Located,
    environ: Mapping[str, str],
    program: str,
    asked: str,
    say: Callable[[str], None],
) -> Mapping[str, Any]:
    # Files, not pipes: what an import leaves running may hold on to them; we do not wait for it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _start(located, ["-c", _ENTRY, asked, program, _MARK], environ, out, err)
        try:
            in_time = _await(process, located, say)
        finally:
            status = end_session(process)
        said, complained = text_of(out), text_of(err)
    if not in_time:
        raise EnvironmentSetupError(
            f"{located.python} ({located.origin}) did not answer within {_TIMEOUT:g} s:\n"
            f"{_tail(said + complained)}"
        )
    before, *progress = said.split(f"\n{_MARK}")
    answer = _answer_of(progress[-1]) if progress and status == 0 else None
    if answer is None:
        doing = progress[-1].split("\n")[0] if progress else ""
        raise EnvironmentSetupError(_last_words(located, status, doing, f"{before}\n{complained}"))
    return answer


def _answer_of(last: str) -> Mapping[str, Any] | None:
    """Read the line that an interpreter ends with; None if it is something else."""
    line = last.split("\n")[0]
    try:
        answer: Mapping[str, Any] = json.loads(line.removeprefix("answer "))
        _understood(answer)
    except (ValueError, KeyError, TypeError):
        return None
    return answer


def _start(
    located: Located,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    out: IO[bytes],
    err: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start an interpreter in a session of its own, so that all it starts can be ended."""
    try:
        return subprocess.Popen(
            [os.fspath(located.python), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as exc:
        raise EnvironmentSetupError(
            f"{located.python} ({located.origin}) cannot be started: {exc.strerror or exc}"
        ) from exc


def _await(process: subprocess.Popen[bytes], located: Located, say: Callable[[str], None]) -> bool:
    """Wait until an interpreter has ended; False if it takes too long."""
    if has_ended(process, _PATIENCE):
        return True
    say(f"examining {located.python}; once, until something in it changes")
    return has_ended(process, _TIMEOUT)


def _last_words(located: Located, status: int, doing: str, words: str) -> str:
    from isthmus.runtimes.faults.explaining import explain

    while_doing = f" while {doing}" if doing else " before it could say what it is"
    text = f"{located.python} ({located.origin}) {_how_it_ended(status)}{while_doing}"
    if words.strip():
        text += f":\n{_tail(words)}"
    for match in explain(words)[:1]:
        text += f"\nThis is: {match.fault.title}\n{_indented(match.fix)}"
    return text


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _tail(text: str) -> str:
    return _indented("\n".join(map(shortened, text.strip().splitlines()[-_LAST_LINES:])))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
