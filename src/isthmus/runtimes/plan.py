"""Which processes a run starts, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from isthmus.errors import ManifestError
from isthmus.runtimes.placeholders import unset_variables
from isthmus.runtimes.settings import Manifest, ProcessSettings, RunSettings

__all__ = ["Plan", "dependencies", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What `isthmus up` does.

    Attributes:
        name: the run's name in the manifest; "" where it has none.
        main: the process whose end ends the run; None if there is none.
        processes: all that are started, each after those it depends on.
    """

    name: str
    main: str | None
    processes: tuple[ProcessSettings, ...]


def plan(manifest: Manifest, run_name: str | None = None) -> Plan:
    """Choose the run and put its processes in order.

    Args:
        manifest: read by `load_manifest`, so all it names is there and nothing goes round.
        run_name: as in `[run.NAME]`; None takes the only one, or every process where there is none.

    Raises:
        ManifestError: no such run, several to choose from, nothing to start, or a process needs an
            environment variable that was not set.
    """
    if not manifest.processes:
        raise ManifestError(
            f"{manifest.path}: no [process.NAME] to start: take the # away from the [process...] "
            "examples in it, or add one"
        )
    run = _choose(manifest, run_name)
    named = dict.fromkeys([*run.processes, *([run.main] if run.main else [])])
    wanted = set(named or manifest.processes)
    for name in tuple(wanted):
        wanted |= dependencies(manifest.processes, name)
    processes = tuple(_ordered(each for each in manifest.processes.values() if each.name in wanted))
    for process in processes:
        _check_variables(manifest, process)
    # A run of one program is that program: its exit status counts.
    alone = processes[0].name if len(processes) == 1 else None
    return Plan(run.name, run.main or alone, processes)


def dependencies(processes: Mapping[str, ProcessSettings], name: str) -> set[str]:
    """Name all that a process depends on, directly or not; unknown ones are left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for each in processes[waiting.pop()].depends_on:
            if each in processes and each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _choose(manifest: Manifest, name: str | None) -> RunSettings:
    runs = manifest.runs
    if name is None:
        if len(runs) > 1:
            raise ManifestError(
                f"{manifest.path} has several runs: name one of {', '.join(runs)}, "
                f"as in `isthmus up {next(iter(runs))}`"
            )
        return next(iter(runs.values()), RunSettings(""))
    if name in runs:
        return runs[name]
    near = get_close_matches(name, runs, 1)
    hint = f"; nearest '{near[0]}'" if near else ""
    if name in manifest.processes:
        hint = f'; that is a process: add [run.{name}] with main = "{name}"'
    known = ", ".join(runs) or "none; `isthmus up` alone starts every process of it"
    raise ManifestError(f"{manifest.path} has no run '{name}'; its runs: {known}{hint}")


def _ordered(processes: Iterable[ProcessSettings]) -> Iterator[ProcessSettings]:
    """Put each after what it depends on, otherwise in the file's order."""
    waiting = {each.name: each for each in processes}
    while waiting:
        ready = (each for each in waiting.values() if not set(each.depends_on) & set(waiting))
        first = next(ready)
        yield waiting.pop(first.name)


def _check_variables(manifest: Manifest, process: ProcessSettings) -> None:
    target = process.ready.target if process.ready else ""
    for text in (*process.command, str(process.cwd), *process.env.values(), target):
        for name in unset_variables(text):
            raise ManifestError(
                f"{manifest.path}: process '{process.name}' needs the environment variable {name}, "
                f"which is not set: export {name}=..., or write the value itself"
            )
