"""Look at one runtime: where its interpreter is, what it answers, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from isthmus.errors import EnvironmentSetupError, NotBuiltError
from isthmus.runtimes.examine import Examination, examine
from isthmus.runtimes.faults import explain
from isthmus.runtimes.locate import Located
from isthmus.runtimes.making.made import lock_of
from isthmus.runtimes.making.requirements import read_lock, read_requirements
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.surroundings import surround
from isthmus.runtimes.versions import Specifier

from .kinds import finding
from .report import Finding, RuntimeFacts

__all__ = ["Subject", "inspect"]

_OLDEST = ">=3.10"


@dataclass(frozen=True, slots=True)
class Subject:
    """One runtime, looked at.

    Attributes:
        settings: as in the manifest.
        facts: what was found.
        findings: what is wrong with it by itself.
        located: its interpreter; None if it is not there.
        environ: what its programs get; empty without an interpreter.
        examination: what it answered; None if it did not.
    """

    settings: RuntimeSettings
    facts: RuntimeFacts
    findings: tuple[Finding, ...]
    located: Located | None = None
    environ: Mapping[str, str] | None = None
    examination: Examination | None = None

    @property
    def where(self) -> str:
        """How findings name it."""
        return f"runtime {self.settings.name}"


def inspect(
    settings: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Subject:
    """Look at one runtime, and change nothing.

    Args:
        settings: of the runtime.
        state: of its project; answers of interpreters are kept there.
        environ: as `os.environ`.
        say: told, in one line, what takes long.
    """
    where = f"runtime {settings.name}"
    facts = RuntimeFacts(settings.name)
    said: list[str] = []
    try:
        around = surround(settings, state, environ, said.append, build=False)
    except OSError as error:
        evidence = f"{error.filename or state.root}: {error.strerror or error}"
        return Subject(settings, facts, (finding("state-unwritable", where, [evidence]),))
    except EnvironmentSetupError as error:
        kind = _why_missing(state, error)
        # How it is built, the finding says by itself.
        return Subject(settings, facts, (finding(kind, where, [str(error).split(": `")[0]]),))
    located, child = around.located, around.environ
    findings = _outdated(settings, state, where, said)  # nothing was built: it said what would be
    facts = replace(facts, python=str(located.python), kind=located.kind, origin=located.origin)
    say(f"asking {settings.name}: {located.python}")
    try:
        examination = examine(
            located, child, settings.must_import, settings.forbid_import, state.probes, say
        )
    except EnvironmentSetupError as error:
        known = [match.fault.id for match in explain(str(error))[:1]]
        broken = finding(known[0] if known else "runtime-broken", where, [str(error)])
        return Subject(settings, facts, (*findings, broken), located, child)
    findings += _misfits(settings, examination, where)
    facts = replace(
        facts,
        version=examination.version,
        numpy=examination.numpy,
        soabi=examination.soabi,
        abilities=dict(examination.abilities),
        isthmus=examination.isthmus,
    )
    return Subject(settings, facts, tuple(findings), located, child, examination)


def _why_missing(state: StateFolder, error: EnvironmentSetupError) -> str:
    if isinstance(error, NotBuiltError):
        return "environment-not-built"
    return "state-unwritable" if f"write into {state.root}" in str(error) else "runtime-missing"


def _outdated(
    settings: RuntimeSettings, state: StateFolder, where: str, said: list[str]
) -> list[Finding]:
    if not said:
        return []
    if settings.requirements:
        lock_file = lock_of(settings, state)
        lock = read_lock(lock_file)
        wanted = read_requirements(settings.requirements, settings.folder)
        if lock is None:
            return [finding("lock-stale", where, [f"there is no {lock_file}"])]
        if lock.digest and lock.digest != wanted.digest:
            evidence = f"{lock_file} was made from other requirements than those in isthmus.toml"
            return [finding("lock-stale", where, [evidence])]
    return [finding("environment-stale", where, said)]


def _misfits(settings: RuntimeSettings, examination: Examination, where: str) -> list[Finding]:
    """List what does not fit between what a runtime is to be and what its interpreter answered."""
    found = [
        finding("requires-python", where, [f"{whose} {text}; this is {examination.version}"])
        for whose, text in (
            ("isthmus needs Python", _OLDEST),
            ("requires-python is", settings.requires_python),
        )
        if not Specifier.parse(text).allows(examination.version_info)
    ]
    found += [
        finding("foreign-path", where, [f"{each.path}: {each.why}"]) for each in examination.foreign
    ]
    found += [
        _failed_import(where, name, error) for name, error in examination.failed_imports.items()
    ]
    if examination.present_forbidden:
        present = ", ".join(examination.present_forbidden)
        found.append(finding("forbidden-present", where, [present]))
    return [*found, *_shared_memory(examination.abilities, where)]


def _failed_import(where: str, name: str, error: str) -> Finding:
    """Name the fault behind a failed import, where it is a known one."""
    known = next((match.fault for match in explain(error) if match.fault.rank == 0), None)
    plain = finding("must-import", where, [f"{name}: {error}"])
    return replace(plain, fix=tuple(known.fix.splitlines())) if known else plain


def _shared_memory(abilities: Mapping[str, str | bool], where: str) -> list[Finding]:
    missing = [
        what
        for what, name in (("memfd_create", "memfd"), ("eventfd", "eventfd"))
        if not abilities.get(name)
    ]
    if missing:
        return [finding("no-shared-memory", where, [f"it has no {' and no '.join(missing)}"])]
    if abilities.get("memfd") == "syscall":
        return [finding("memfd-by-syscall", where, ["os.memfd_create is missing"])]
    return []
