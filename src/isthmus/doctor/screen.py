"""A report as text for a terminal: what there is, then what is wrong, each with its fix."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from isthmus.runtimes.faults import Match

from .report import Finding, Report, RuntimeFacts, Variable

__all__ = ["explained", "findings_text", "screen"]

_WIDTH = 100
_LONG = 72  # characters of a value that are shown


def screen(report: Report, *, ok: bool = True) -> str:
    """Write the whole report.

    Args:
        report: what was found.
        ok: say so where nothing is wrong.
    """
    blocks = [
        list(_runtimes(report)),
        list(_agreement(report)),
        list(_machine(report)),
        list(_variables(report.variables)),
        [f"did: {line}" for line in report.done],
        findings_text(report.findings).splitlines(),
    ]
    if ok and report.is_healthy:
        blocks.append(["No faults found."])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def findings_text(findings: Sequence[Finding]) -> str:
    """Write findings, each with what was seen, what it breaks and what to do."""
    return "\n\n".join("\n".join(_finding(each)) for each in findings)


def explained(matches: Sequence[Match]) -> str:
    """Write what is known about a text: the likeliest cause in full, the others in one line."""
    if not matches:
        return (
            "No known fault in this text. `isthmus doctor` looks at the runtimes themselves; "
            "docs/TROUBLESHOOTING.md lists what is known."
        )
    first, *others = matches
    lines = [f"{first.fault.title}  [{first.fault.id}]", *_where(first)]
    lines += ["", *_wrapped(first.fault.causes, ""), "", "what to do:"]
    lines += [line for step in first.fix.splitlines() for line in _wrapped(step, "  - ")]
    if first.fault.seen:
        lines.append(f"  seen in: {', '.join(first.fault.seen)}")
    for each in others:
        lines += ["", f"also: {each.fault.title}  [{each.fault.id}]", *_where(each)]
        lines += _wrapped(each.fix.splitlines()[0], "  - ")
    return "\n".join(lines)


def _where(match: Match) -> Iterator[str]:
    times = f" ({match.count} lines)" if match.count > 1 else ""
    yield f"  line {match.number}{times}: {match.line}"
    if match.frame:
        yield f"  in {match.frame}"


def _runtimes(report: Report) -> Iterator[str]:
    yield f"project  {report.manifest or 'none: this shell and its Pythons'}"
    unbuilt = {each.where for each in report.findings if each.id == "environment-not-built"}
    rows = [
        _runtime(each, os.path.dirname(report.manifest), f"runtime {each.name}" in unbuilt)
        for each in report.runtimes
    ]
    yield from _table(("runtime", "python", "numpy", "kind", "shared memory", "from"), rows)


def _runtime(facts: RuntimeFacts, folder: str, unbuilt: bool) -> tuple[str, ...]:
    if not facts.python:
        where = "not built yet" if unbuilt else "not there, see below"
        return (facts.name, "-", "-", "-", "-", where)
    return (
        facts.name,
        facts.version or "no answer",
        facts.numpy or "-",
        facts.kind,
        _memory(facts),
        _from(facts, folder),
    )


def _from(facts: RuntimeFacts, folder: str) -> str:
    """Say which interpreter it is, in paths as a person in the project would write them."""
    python, origin = (_nearer(text, folder) for text in (facts.python, facts.origin))
    # Where the reason is the environment's own folder, its interpreter says nothing more.
    inside = os.path.dirname(os.path.dirname(python))
    return origin if inside and origin.endswith(f" {inside}") else f"{python} ({origin})"


def _nearer(text: str, folder: str) -> str:
    for place, short in ((folder, ""), (os.path.expanduser("~"), "~/")):
        if place.strip("/"):
            text = text.replace(f"{place.rstrip('/')}/", short)
    return text


def _memory(facts: RuntimeFacts) -> str:
    if not facts.abilities:
        return "-"
    if not facts.abilities.get("memfd") or not facts.abilities.get("eventfd"):
        return "no"
    return "yes, by syscall" if facts.abilities["memfd"] == "syscall" else "yes"


def _agreement(report: Report) -> Iterator[str]:
    hashes = {each.name: each.interface for each in report.runtimes if each.interface}
    if report.model_interface:
        hashes["the model"] = report.model_interface
    wires = sorted({each.wire for each in report.runtimes if each.wire})
    if not hashes:
        return
    wire = f", wire version {', '.join(map(str, wires))}" if wires else ""
    if len(set(hashes.values())) == 1:
        digest = next(iter(hashes.values()))
        yield f"interface  {digest[:16]}, the same in {_listed(list(hashes))}{wire}"
    else:
        yield f"interface  NOT the same{wire}"
        yield from (f"  {name:12} {digest[:16]}" for name, digest in hashes.items())


def _machine(report: Report) -> Iterator[str]:
    machine = report.machine
    files = "no limit" if machine.files_soft < 0 else str(machine.files_soft)
    yield (
        f"machine  sealed memory {_yes(machine.seals)}, Unix sockets in {machine.folder} "
        f"{_yes(machine.unix)}, TCP on 127.0.0.1 {_yes(machine.loopback)}, open files {files}"
    )


def _variables(variables: Sequence[Variable]) -> Iterator[str]:
    """List variables; those of one program, which say the same, in one entry."""
    if not variables:
        return
    yield "set in this shell, and not passed on by `isthmus run`:"
    groups: dict[tuple[str, str], list[Variable]] = {}
    for each in variables:
        key = each.why if each.name.startswith(("CONDA_", "_CE_", "ROS_", "AMENT_")) else each.name
        groups.setdefault((key, each.set_by), []).append(each)
    for members in groups.values():
        first, *others = members
        more = f" (and {', '.join(each.name for each in others)})" if others else ""
        yield from _wrapped(f"{first.name}={_short(first.value)}{more}", "  ")
        yield from _wrapped(first.why, "    ")
        yield from _wrapped(first.set_by, "    ")


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.level.upper()}  {finding.where}: {finding.title}  [{finding.id}]"
    for line in finding.evidence:
        yield from (f"    {part}" for part in line.splitlines())
    yield from _wrapped(f"breaks: {finding.breaks}", "  ")
    for step in finding.fix:
        yield from _wrapped(step, "  - ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    for line in lines:
        cells = [f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)]
        yield "  ".join([*cells, line[-1]])


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(value: str) -> str:
    return value if len(value) <= _LONG else f"{value[: _LONG - 3]}..."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _yes(able: bool) -> str:
    return "yes" if able else "NO"
