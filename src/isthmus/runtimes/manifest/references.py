"""What the parts of a manifest say of each other: names that must be there, and placeholders.

Each rule is a function from a manifest to complaints; `RULES` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from isthmus.errors import ManifestError
from isthmus.runtimes.manifest.lines import Place
from isthmus.runtimes.manifest.reader import Complaint, nearest
from isthmus.runtimes.placeholders import GENERAL, PID, placeholders
from isthmus.runtimes.plan import dependencies
from isthmus.runtimes.settings import Manifest, ProcessSettings

__all__ = ["RULES"]


def locks_are_of_requirements(manifest: Manifest) -> Iterator[Complaint]:
    """A lock keeps the versions of requirements, so there are some."""
    for name, runtime in manifest.runtimes.items():
        if runtime.lock is not None and not runtime.requirements:
            yield Complaint(
                ("runtime", name, "lock"),
                "'lock' keeps the versions of 'requirements', and there are none; add them",
            )


def imports_are_wanted_or_forbidden(manifest: Manifest) -> Iterator[Complaint]:
    """No module is both."""
    for name, runtime in manifest.runtimes.items():
        for index, module in enumerate(runtime.must_import):
            for forbidden in runtime.forbid_import:
                if f"{module}.".startswith(f"{forbidden}."):
                    yield Complaint(
                        ("runtime", name, "must_import", index),
                        f"'{module}' must be imported and must not: 'forbid_import' has "
                        f"'{forbidden}'; remove one",
                    )


def no_process_has_our_name(manifest: Manifest) -> Iterator[Complaint]:
    """A run's own lines and log are called `isthmus`."""
    if "isthmus" in manifest.processes:
        yield Complaint(
            ("process", "isthmus"),
            "'isthmus' is what a run calls its own lines and log; give the process another name",
        )


def names_are_there(manifest: Manifest) -> Iterator[Complaint]:
    """Every runtime and process that is named exists."""
    for place, name, what, known in _references(manifest):
        if name not in known:
            yield Complaint(place, f"no [{what}.{name}]; {nearest(name, known, what)}")


def _references(manifest: Manifest) -> Iterator[tuple[Place, str, str, Iterable[str]]]:
    processes = manifest.processes
    for process in processes.values():
        place = ("process", process.name)
        if process.runtime is not None:
            yield (*place, "runtime"), process.runtime, "runtime", manifest.runtimes
        for index, name in enumerate(process.depends_on):
            yield (*place, "depends_on", index), name, "process", processes
    for run in manifest.runs.values():
        place = ("run", run.name)
        if run.main is not None:
            yield (*place, "main"), run.main, "process", processes
        for index, name in enumerate(run.processes):
            yield (*place, "processes", index), name, "process", processes


def nothing_waits_for_itself(manifest: Manifest) -> Iterator[Complaint]:
    """Dependencies do not go round."""
    for name in manifest.processes:
        circle = _circle(manifest, name)
        if circle:
            yield Complaint(
                ("process", name, "depends_on"),
                f"processes wait for each other: {' -> '.join(circle)}; remove one 'depends_on'",
            )


def _circle(manifest: Manifest, name: str) -> list[str]:
    """Find the shortest way from a process back to itself."""
    ways = [[name]]
    seen: set[str] = set()
    for way in ways:
        for each in manifest.processes[way[-1]].depends_on:
            if each == name:
                return [*way, name]
            if each in manifest.processes and each not in seen:
                seen.add(each)
                ways.append([*way, each])
    return []


def placeholders_have_values(manifest: Manifest) -> Iterator[Complaint]:
    """Every placeholder is one of the run, or of a process that is ready before."""
    for process in manifest.processes.values():
        for place, text in _texts(process):
            try:
                for name in placeholders(text):
                    problem = _problem(manifest, process, name)
                    if problem:
                        yield Complaint(place, problem)
            except ManifestError as error:
                yield Complaint(place, str(error))


def _texts(process: ProcessSettings) -> Iterator[tuple[Place, str]]:
    place = ("process", process.name)
    for index, text in enumerate(process.command):
        yield (*place, "command", index), text
    yield (*place, "cwd"), str(process.cwd)
    for name, text in process.env.items():
        yield (*place, "env", name), text
    if process.ready is not None:
        yield (*place, "ready", process.ready.kind), process.ready.target


def _problem(manifest: Manifest, process: ProcessSettings, name: str) -> str:
    """Say what is wrong with a placeholder; "" if nothing."""
    owner, dot, value = name.partition(".")
    if not dot:
        if name == "contract" and manifest.contract.file is None:
            return "{contract} has no value: say 'file' in [contract]"
        hint = f"{nearest(name, GENERAL, 'placeholder')}; a brace itself is written twice"
        return "" if name in GENERAL else f"unknown placeholder {{{name}}}; {hint}"
    if owner not in manifest.processes:
        hint = nearest(owner, manifest.processes, "process")
        return f"{{{name}}}: no [process.{owner}]; {hint}"
    if owner not in dependencies(manifest.processes, process.name):
        return (
            f"{{{name}}} is known once '{owner}' is ready: add '{owner}' to 'depends_on' of "
            f"[process.{process.name}]"
        )
    known = [PID, *_groups(manifest.processes[owner])]
    if value in known:
        return ""
    return (
        f"{{{name}}}: '{owner}' gives {', '.join(known)}; "
        f"a named group of its ready line would give '{value}'"
    )


def _groups(process: ProcessSettings) -> Iterator[str]:
    for line in process.ready.lines if process.ready else ():
        yield from re.compile(line).groupindex


RULES: tuple[Callable[[Manifest], Iterator[Complaint]], ...] = (
    locks_are_of_requirements,
    imports_are_wanted_or_forbidden,
    no_process_has_our_name,
    names_are_there,
    nothing_waits_for_itself,
    placeholders_have_values,
)
