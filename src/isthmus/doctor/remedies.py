"""What `isthmus doctor --fix` does: only what can be done again, and only inside the project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.probes import identity, read_facts, write_facts
from isthmus.runtimes.settings import Manifest, RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.surroundings import surround

from .report import Finding

__all__ = ["mend"]


def mend(
    manifest: Manifest | None,
    state: StateFolder,
    environ: Mapping[str, str],
    findings: tuple[Finding, ...],
    say: Callable[[str], None],
) -> list[str]:
    """Do what is safe about a diagnosis.

    Args:
        manifest: of the project; None touches nothing but the answers kept in the user's cache.
        state: of the project.
        environ: as `os.environ`.
        findings: of the diagnosis.
        say: told, in one line, what takes long.

    Returns:
        What was done, and what was tried in vain, one line each.
    """
    done = []
    to_build = {each.where for each in findings if each.mends}
    for runtime in manifest.runtimes.values() if manifest else ():
        if f"runtime {runtime.name}" in to_build:
            done.append(_build(runtime, state, environ, say))
    try:
        done += _remove_stale_answers(state)
        if manifest is not None:
            done += _remove_dead_runs(state)
    except OSError as error:
        done.append(f"could not remove what is stale in {state.root}: {error.strerror or error}")
    return done


def _build(
    runtime: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> str:
    try:
        located = surround(runtime, state, environ, say).located
    except EnvironmentSetupError as error:
        return f"could not build the environment of {runtime.name}: {error}"
    return f"built the environment of {runtime.name}: {located.origin}"


def _remove_stale_answers(state: StateFolder) -> Iterator[str]:
    """Forget what interpreters answered that have changed, or gone, since."""
    if not state.root.is_dir():
        return
    gone = 0
    for file in sorted(state.probes.glob("*.json")):
        facts = read_facts(file)
        if isinstance(facts.get("interpreters"), dict):
            gone += _forget_changed(file, facts)
        elif _is_stale(facts):
            file.unlink(missing_ok=True)
            gone += 1
    if gone:
        yield f"forgot {gone} answer{'s' if gone > 1 else ''} of interpreters that changed since"


def _forget_changed(file: Path, facts: dict[str, Any]) -> int:
    kept = {
        path: entry
        for path, entry in facts["interpreters"].items()
        if isinstance(entry, dict) and entry.get("identity") == identity(Path(path))
    }
    gone = len(facts["interpreters"]) - len(kept)
    if gone:
        write_facts(file, {**facts, "interpreters": kept})
    return gone


def _is_stale(facts: dict[str, Any]) -> bool:
    """Whether an answer of `examine` depends on a file that is another one now."""
    identities = facts.get("identities")
    if not isinstance(identities, dict):
        return not facts  # torn, or emptied; other kinds of answers look after themselves
    return any(identity(Path(path)) != then for path, then in identities.items())


def _remove_dead_runs(state: StateFolder) -> Iterator[str]:
    """Remove the records of runs of which nothing is alive: their lock can be taken."""
    import fcntl

    if not (state.root / "up").is_dir():
        return
    for record in sorted(state.up.glob("*.json")):
        lock = record.with_suffix(".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            record.unlink(missing_ok=True)
            yield f"removed the record of run {record.stem}, which is over"
            continue
        except OSError:
            continue  # of another user
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # something of it is alive
        else:
            record.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            yield f"removed the record of run {record.stem}, which is over"
        finally:
            os.close(descriptor)
