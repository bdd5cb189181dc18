"""What a run tells: its record on disk, a failure, and its last lines."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from isthmus.runtimes.examine import Examination
from isthmus.runtimes.plan import Plan
from isthmus.runtimes.settings import Manifest
from isthmus.supervisor.identity import boot_id, started_at
from isthmus.supervisor.process import Process
from isthmus.supervisor.process import facts as process_facts
from isthmus.supervisor.records import LOGS
from isthmus.supervisor.words import duration, signal_name

__all__ = [
    "RECORD_VERSION",
    "Reported",
    "Verdict",
    "asked_by",
    "facts",
    "farewell",
    "known_fault",
    "last_words",
    "shown",
]

RECORD_VERSION = 1
_SENDERS: Mapping[int, str] = {
    signal.SIGINT: " (Ctrl-C)",
    signal.SIGHUP: " (its terminal was closed)",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a run ends.

    Attributes:
        why: in words.
        status: the exit status of `isthmus up`.
        cause: what was behind that, for `up.json`; the user has been told already.
    """

    why: str
    status: int
    cause: str = ""

    @property
    def whole(self) -> str:
        """Why, and what was behind that."""
        return f"{self.why}: {self.cause}" if self.cause else self.why


class Reported(Protocol):
    """What is told of a run; attributes as those of `run.Run`."""

    id: str
    folder: Path
    sockets: str
    manifest: Manifest
    plan: Plan
    processes: dict[str, Process]
    started_ns: int
    ended_ns: int | None
    verdict: Verdict | None

    @property
    def examinations(self) -> Mapping[str, Examination]:
        """What the interpreter of each runtime answered."""


def facts(run: Reported) -> dict[str, Any]:
    """Say all that is known of a run: `up.json`."""
    pid = os.getpid()
    return {
        "version": RECORD_VERSION,
        "run_id": run.id,
        "run": run.plan.name,
        "folder": str(run.folder),
        "manifest": str(run.manifest.path),
        "main": run.plan.main,
        "sockets": run.sockets,
        "supervisor": {"pid": pid, "ticks": started_at(pid), "boot_id": boot_id()},
        "started_ns": run.started_ns,
        "ended_ns": run.ended_ns,
        "why": run.verdict.whole if run.verdict else None,
        "status": run.verdict.status if run.verdict else None,
        "stop_seconds": sum(each.stop_timeout for each in run.plan.processes),
        "processes": {name: process_facts(each) for name, each in run.processes.items()},
        "runtimes": {name: _examined(each) for name, each in run.examinations.items()},
    }


def last_words(name: str, what: str, words: Sequence[str], *, shown: bool) -> str:
    """Say how a process failed, and what it said last.

    Args:
        name: of the process.
        what: became of it.
        words: its last lines.
        shown: they are on the user's screen, a few lines above.
    """
    if not words:
        return f"{name} {what}, without a word"
    if shown:
        return f"{name} {what}; its last words are above"
    return "\n".join([f"{name} {what}; its last words:", *(f"    {line}" for line in words)])


def asked_by(number: int, *, down: bool) -> str:
    """Say who asked a run to end, as far as that is known.

    Args:
        number: of the signal that came.
        down: `isthmus down` has said that it sends one.
    """
    senders = {**_SENDERS, signal.SIGTERM: " (isthmus down)"} if down else _SENDERS
    return f"{signal_name(number)} came{senders.get(number, '')}"


def known_fault(text: str) -> str:
    """Say what is known about a failure by the text that came before it; "" if nothing is."""
    from isthmus.runtimes.faults import explain

    found = [match.fault for match in explain(text)[:1]]
    return "\n".join(
        line
        for fault in found
        for line in (f"known: {fault.title}", *(f"    {step}" for step in fault.fix.splitlines()))
    )


def farewell(run: Reported) -> str:
    """Say how everything ended, and where it can be read."""
    assert run.verdict is not None and run.ended_ns is not None
    took = duration((run.ended_ns - run.started_ns) / 1e9)
    width = max(map(len, run.processes), default=0)
    return "\n".join(
        [
            f"run {run.id} ended after {took}: {run.verdict.why}",
            *(
                f"  {name:<{width}}  {each.outcome.how.splitlines()[0]}"
                for name, each in run.processes.items()
                if each.outcome is not None
            ),
            f"logs: {shown(run.folder / LOGS)}",
        ]
    )


def shown(path: Path) -> str:
    """Name a path as short as it can be: from the current folder, if it is below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # not below it, or it was removed
        return str(path)


def _examined(examination: Examination) -> Mapping[str, Any]:
    """In the words of a run's `meta.json`: `python` is the version there."""
    facts = asdict(examination)
    executable, version = facts.pop("python"), facts.pop("version")
    return {"executable": executable, "python": version, **facts}
