"""What interpreters answered, kept in a file: one that did not change is not run again.

An executable is the same as long as its path, size and time of change are. What it lacks may be
mended from outside: so failures can be forgotten, and whoever is about to make an environment asks
a Python again that could not.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isthmus.runtimes.interpreters import Interpreter, probe

__all__ = ["ProbeCache", "identity", "read_facts", "write_facts"]

_VERSION = 1


def identity(path: Path) -> list[Any] | None:
    """Say what a file is without reading it; None if it is not there.

    Links are followed: a link that leads to something else now is another file.
    """
    try:
        real = os.path.realpath(path)
        stat = os.stat(real)
    except OSError:
        return None
    return [real, stat.st_size, stat.st_mtime_ns]


class ProbeCache:
    """Probes interpreters, each once; in place of `interpreters.probe`.

    Args:
        file: where answers are kept; made when there is something to keep.
        ask: runs an interpreter.
    """

    def __init__(self, file: Path, ask: Callable[[Path, str], Interpreter | None] = probe) -> None:
        self._file = file
        self._ask = ask
        self._answers: dict[str, dict[str, Any]] | None = None

    def __call__(self, path: Path, found: str = "PATH") -> Interpreter | None:
        """Say what `path` is, from memory if it is the same as then."""
        now = identity(path)
        if now is None:
            return self._ask(path, found)
        answers = self._read()
        kept = answers.get(now[0], {})
        if kept.get("identity") == now:
            try:
                return _from_facts(kept["answer"], found)
            except (KeyError, TypeError, ValueError):
                pass  # not what we write: ask again
        interpreter = self._ask(path, found)
        answers[now[0]] = {"identity": now, "answer": _to_facts(interpreter)}
        write_facts(self._file, {"version": _VERSION, "interpreters": answers})
        return interpreter

    def forget_failures(self) -> bool:
        """Forget who did not answer; False if there was nothing to forget."""
        answers = self._read()
        failed = [path for path, kept in answers.items() if not kept.get("answer")]
        for path in failed:
            del answers[path]
        return bool(failed)

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._answers is None:
            facts = read_facts(self._file)
            known = facts.get("interpreters") if facts.get("version") == _VERSION else None
            kept = known if isinstance(known, dict) else {}
            self._answers = {path: each for path, each in kept.items() if isinstance(each, dict)}
        return self._answers


def read_facts(file: Path) -> dict[str, Any]:
    """Read what was kept; nothing if it is missing, torn or something else: it is made again."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def write_facts(file: Path, facts: dict[str, Any]) -> None:
    """Keep facts; whoever reads at the same time sees the old ones or the new ones."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(facts, stream, indent=1)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def _to_facts(interpreter: Interpreter | None) -> dict[str, Any] | None:
    if interpreter is None:
        return None
    return {
        "path": os.fspath(interpreter.path),
        "version": list(interpreter.version),
        "implementation": interpreter.implementation,
        "soabi": interpreter.soabi,
        "has_venv": interpreter.has_venv,
    }


def _from_facts(facts: dict[str, Any] | None, found: str) -> Interpreter | None:
    if facts is None:
        return None
    major, minor, micro = facts["version"]
    return Interpreter(
        path=Path(facts["path"]),
        version=(major, minor, micro),
        implementation=facts["implementation"],
        soabi=facts["soabi"],
        has_venv=facts["has_venv"],
        found=found,
    )
