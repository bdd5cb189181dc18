"""What was answered when an interpreter was examined, as long as it is true.

Which answer is asked for is a key, made of the question and of the variables that may change the
answer: those that steer Python and the loader. What else it depends on is kept with it: the
interpreter, `pyvenv.cfg`, and each folder of its import path. Where modules were imported, all the
files that were loaded count as well, and all variables but those that differ from one terminal to
the next: a module may read any.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isthmus.runtimes.probes import identity, read_facts, write_facts

__all__ = ["key_of", "recall", "remember"]

_FORMAT = 2
_FILE = re.compile(r"[0-9a-f]{32}\.json")
_MOST = 100  # answers, before the oldest is removed

_STEERING = ("PYTHON", "LD_")
# What differs from one terminal, session or start to the next, and changes no import.
_VOLATILE = re.compile(
    r"_|SHLVL|PWD|OLDPWD|TERM|COLORTERM|COLUMNS|LINES|WINDOWID|WINDOW|STY|PS[1-4]|PROMPT_.*"
    r"|ISTHMUS_(RUN_ID|RUN_DIR|PROCESS)|(TERM|TMUX|SSH|VTE|GNOME_TERMINAL|KONSOLE|KITTY|ITERM|WT)_.*"
    r"|TMUX|VSCODE_.*|XDG_(SESSION_.*|SEAT|VTNR)|DBUS_SESSION_BUS_ADDRESS|DESKTOP_STARTUP_ID"
    r"|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_.*|MAKEFLAGS|MAKELEVEL|MFLAGS|LS_COLORS|LESS.*|HIST.*"
    r"|PYTEST_CURRENT_TEST"
)


def key_of(
    question: object, environ: Mapping[str, str], also: Iterable[str], *, imports: bool
) -> str:
    """Name the answer to a question in an environment.

    Args:
        question: all that is asked, and of whom; for `json`.
        environ: the interpreter's.
        also: variables that count in any case.
        imports: True if modules are imported.
    """
    if imports:
        counts = {name: value for name, value in environ.items() if not _VOLATILE.fullmatch(name)}
    else:
        counts = {name: value for name, value in environ.items() if name.startswith(_STEERING)}
    counts |= {name: environ.get(name, "") for name in also}
    text = json.dumps([question, sorted(counts.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def remember(cache: Path, key: str, python: Path, answer: Mapping[str, Any]) -> None:
    """Keep an answer, with what it depends on.

    Args:
        cache: a folder; made.
        key: see `key_of`.
        python: who answered.
        answer: has "sys_path", "prefix" and "loaded".

    Raises:
        OSError: it cannot be written.
    """
    entry = {
        "format": _FORMAT,
        "identities": _identities(_watched(python, answer)),
        "loaded": _changes(answer["loaded"]),
        "answer": {**answer, "loaded": []},
    }
    write_facts(cache / f"{key}.json", entry)
    _remove_oldest(cache)


def recall(cache: Path, key: str) -> Mapping[str, Any]:
    """Read an answer that is still true.

    Raises:
        KeyError: there is none; TypeError, ValueError, AttributeError: what is there is torn.
    """
    entry = read_facts(cache / f"{key}.json")
    identities, loaded = entry["identities"], entry["loaded"]
    if entry["format"] != _FORMAT or identities != _identities(identities):
        raise KeyError(key)
    if loaded != _changes(loaded):
        raise KeyError(key)
    answer: Mapping[str, Any] = entry["answer"]
    return answer


def _remove_oldest(cache: Path) -> None:
    """Keep no more answers than are of use: each terminal may have had its own."""
    names = [name for name in os.listdir(cache) if _FILE.fullmatch(name)]
    if len(names) > _MOST:
        paths = sorted((cache / name for name in names), key=os.path.getmtime)
        for path in paths[:-_MOST]:
            path.unlink(missing_ok=True)


def _watched(python: Path, answer: Mapping[str, Any]) -> list[str]:
    """List the files and folders that an answer depends on."""
    folders = [str(entry) for entry in answer["sys_path"]]
    path_files = [
        os.path.join(folder, name)
        for folder in folders
        if os.path.isdir(folder)
        for name in os.listdir(folder)
        if name.endswith((".pth", "sitecustomize.py"))
    ]
    configuration = os.path.join(str(answer["prefix"]), "pyvenv.cfg")
    return [os.fspath(python), configuration, *folders, *path_files]


def _identities(paths: Iterable[str]) -> dict[str, list[Any] | None]:
    return {path: identity(Path(path)) for path in paths}


def _changes(files: Iterable[str]) -> dict[str, list[int] | None]:
    """Say of many files what changes when they do; cheaper than `identity`."""
    changes: dict[str, list[int] | None] = {}
    for file in files:
        try:
            found = os.stat(file)
            changes[file] = [found.st_size, found.st_mtime_ns]
        except OSError:  # as of one inside an archive, which is watched itself
            changes[file] = None
    return changes
