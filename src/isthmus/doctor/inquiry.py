"""Ask a runtime's own Python what only it can say: the contract's hash, and what fits its numpy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.runtimes.asking import Answer, ask
from isthmus.runtimes.faults import explain

from .inspection import Subject
from .kinds import finding
from .report import Finding

__all__ = ["Inquiry", "inquire"]

_MARK = "--isthmus-inquiry--"  # as in inquiry_program
_TIMEOUT = 300.0  # seconds; a first import compiles
_CRASHED = "it ended the process: {}"


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What one runtime answered.

    Attributes:
        isthmus: version; "" without an answer.
        wire: version of the protocol.
        interface: hash of the contract; "" without one.
        error: why there is no hash, though there is a contract.
        unusable: why isthmus cannot be used there.
        findings: packages that do not fit the runtime's numpy.
    """

    isthmus: str = ""
    wire: int = 0
    interface: str = ""
    error: str = ""
    unusable: str = ""
    findings: tuple[Finding, ...] = field(default=())


def inquire(subject: Subject, contract: Path | None) -> Inquiry:
    """Ask one runtime.

    Args:
        subject: whose interpreter works.
        contract: the file of `[contract]`, or None.
    """
    located, examination = subject.located, subject.examination
    assert located is not None and examination is not None
    program = Path(__file__).with_name("inquiry_program.py").read_text(encoding="utf-8")
    question = {"contract": str(contract or ""), "numpy": _known(examination.numpy)}
    command = (str(located.python), "-c", program, json.dumps(question))
    try:
        answer = ask(command, subject.environ, _TIMEOUT)
    except (OSError, TimeoutError) as error:
        return Inquiry(unusable=str(error))
    facts = list(_facts(answer.stdout))
    told = next((each["interface"] for each in facts if "interface" in each), None)
    if told is None:
        return Inquiry(unusable=answer.last_words(6))
    findings = list(_unfit(list(_failed(facts, answer)), subject.where, examination.numpy))
    if not {"done", "trying"} & facts[-1].keys():
        findings.append(finding("inquiry-failed", subject.where, [answer.last_words(6)]))
    return Inquiry(
        isthmus=str(told["isthmus"]),
        wire=int(told["wire"]),
        interface=str(told["hash"]),
        error=str(told["error"]),
        unusable=str(told["unusable"]),
        findings=tuple(findings),
    )


def _known(numpy: str) -> str:
    return numpy if numpy[:1].isdigit() else ""


def _facts(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith(_MARK):
            yield json.loads(line[len(_MARK) :])


def _failed(facts: list[dict[str, Any]], answer: Answer) -> Iterator[Mapping[str, str]]:
    """List the packages that could not be imported, and the one that took the process with it."""
    yield from (each["unfit"] for each in facts if "unfit" in each)
    if facts and "trying" in facts[-1]:
        yield {**facts[-1]["trying"], "error": _CRASHED.format(answer.ending)}


def _unfit(entries: list[Mapping[str, str]], where: str, numpy: str) -> Iterator[Finding]:
    """Make one finding of all packages that fail for one reason.

    An import may fail for many reasons; only what numpy, or a crash, accounts for is told.
    """
    by_kind: dict[str, list[Mapping[str, str]]] = {}
    for entry in entries:
        kind = _kind(entry["error"], numpy)
        if kind:
            by_kind.setdefault(kind, []).append(entry)
    for kind, group in by_kind.items():
        evidence = [f"here is numpy {numpy}"]
        for each in group:
            evidence.append(f"{each['name']} {each['version']} {each['why']}")
            evidence.append(f"  import {each['module']}: {each['error'].splitlines()[0]}")
        names = " ".join(each["name"] for each in group)
        newer = f"There: `pip install --upgrade {names}`, or require newer releases of them."
        yield finding(kind, where, evidence, fix=[newer] if kind == "numpy-abi-1" else [])


def _kind(error: str, numpy: str) -> str:
    known = [match.fault.id for match in explain(error)]
    if not known and error.startswith(_CRASHED.format("")):
        return "numpy-abi-1" if numpy.startswith("2.") else "numpy-too-old"
    return next((each for each in known if each.startswith("numpy-")), "")
