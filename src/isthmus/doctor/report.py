"""What a diagnosis found, in words for people and in keys for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["FORMAT", "Finding", "Machine", "Report", "RuntimeFacts", "Variable"]

FORMAT = 1
"""Version of what `Report.to_dict` returns: keys are added, never changed."""

FAULT, NOTE = "fault", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        id: what kind it is, one of the words of docs/TROUBLESHOOTING.md.
        level: "fault", which makes the exit status 1, or "note".
        where: "shell", "machine", "contract" or "runtime NAME".
        title: what it is, on one line.
        evidence: what was seen, one thing a line.
        breaks: what goes wrong because of it.
        fix: what to type or edit, one step a line.
        mends: True if `isthmus doctor --fix` does it.
    """

    id: str
    level: str
    where: str
    title: str
    evidence: tuple[str, ...]
    breaks: str
    fix: tuple[str, ...]
    mends: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the shell that belongs to some other Python, simulator or robot.

    Attributes:
        name: of the variable.
        value: its value; of a list such as PATH, the elements concerned.
        why: what it would do to a program.
        set_by: who set it, as far as can be known, such as "set by ~/.bashrc:12: ...".
        unset: the line that takes it out of this shell.
    """

    name: str
    value: str
    why: str
    set_by: str
    unset: str


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """One runtime as it is on this machine.

    Attributes:
        name: as in the manifest, or what the Python was found by.
        python: its interpreter; "" if there is none.
        version: such as "3.11.7"; "" if it does not answer.
        numpy: its version, "" without one.
        kind: "executable", "venv", "conda", "isaac", "project" (of uv), "made" or "found"; "" if
            there is none.
        origin: why it is this interpreter.
        soabi: which compiled extensions it loads.
        abilities: "memfd" ("os", "syscall", ""), "eventfd", "pidfd".
        interface: hash of the contract as this Python computes it; "" without a contract.
        wire: version of the protocol it speaks; 0 if not known.
        isthmus: version of isthmus it would import.
    """

    name: str
    python: str = ""
    version: str = ""
    numpy: str = ""
    kind: str = ""
    origin: str = ""
    soabi: str = ""
    abilities: Mapping[str, str | bool] | None = None
    interface: str = ""
    wire: int = 0
    isthmus: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the system lets this process do.

    Attributes:
        seals: memory can be sealed, so that shared memory is safe.
        unix: Unix sockets work in `folder`.
        loopback: a TCP port of 127.0.0.1 can be listened on.
        folder: where a run's sockets would go.
        files_soft: limit of open files.
        files_hard: how far it can be raised without rights; -1 is no limit, of either.
    """

    seals: bool
    unix: bool
    loopback: bool
    folder: str
    files_soft: int
    files_hard: int


@dataclass(frozen=True, slots=True)
class Report:
    """A whole diagnosis.

    Attributes:
        manifest: the isthmus.toml it is about; "" without one.
        runtimes: in the manifest's order.
        variables: in the environment's order.
        machine: what the system allows.
        model_interface: hash in the manifest of `[contract] model`; "" without one.
        findings: faults first.
        done: what `--fix` did, one line each.
    """

    manifest: str
    runtimes: tuple[RuntimeFacts, ...]
    variables: tuple[Variable, ...]
    machine: Machine
    model_interface: str
    findings: tuple[Finding, ...]
    done: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(each for each in self.findings if each.level == FAULT)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """The report for programs: the attributes of these classes by their names.

        `format` is `FORMAT`, `healthy` is `is_healthy`.
        """
        return {"format": FORMAT, "healthy": self.is_healthy, **asdict(self)}
