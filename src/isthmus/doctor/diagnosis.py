"""Look at everything, in the order in which one thing depends on another."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from isthmus.runtimes.programs import ISTHMUS
from isthmus.runtimes.settings import ContractSettings, Manifest, RuntimeSettings
from isthmus.runtimes.state import StateFolder

from .agreement import agreement_findings, model_interface
from .inquiry import Inquiry, inquire
from .inspection import Subject, inspect
from .machine import machine_findings, measure
from .origins import Origins, Places
from .report import FAULT, Finding, Report, RuntimeFacts
from .shell import shell_findings
from .usersite import user_site_findings
from .variables import suspicious

__all__ = ["diagnose"]


def diagnose(
    manifest: Manifest | None,
    state: StateFolder,
    environ: Mapping[str, str],
    *,
    say: Callable[[str], None] = lambda line: None,
    places: Places | None = None,
) -> Report:
    """Find what is wrong with a project's runtimes, or with this shell where there is none.

    Nothing is built, installed or mended. Interpreters are run; what they answer is kept in the
    state folder.

    Args:
        manifest: of the project; None looks at the Python that runs this and the first on PATH.
        state: of the project.
        environ: the shell's environment, as it is.
        say: told, in one line, what takes long.
        places: where to look for who set a variable; None is this machine.

    Returns:
        All that was found.
    """
    places = places or Places.here(environ)
    origins = Origins(environ, places)
    settings = list(manifest.runtimes.values()) if manifest else _of_this_shell(environ)
    contract = manifest.contract if manifest else ContractSettings()
    subjects = [inspect(each, state, environ, say) for each in settings]
    answers = {
        each.settings.name: inquire(each, contract.file)
        for each in subjects
        if each.examination is not None
    }
    machine = measure(environ)
    findings = [
        *shell_findings(environ, subjects, origins),
        *(found for each in subjects for found in each.findings),
        *(found for answer in answers.values() for found in answer.findings),
        *(found for each in subjects for found in user_site_findings(environ, places.home, each)),
        *agreement_findings(contract, answers, _need_isthmus(manifest)),
        *machine_findings(machine),
    ]
    return Report(
        manifest=str(manifest.path) if manifest else "",
        runtimes=tuple(_facts(each, answers) for each in subjects),
        variables=suspicious(environ, origins),
        machine=machine,
        model_interface=model_interface(contract),
        findings=tuple(sorted(findings, key=_order)),
    )


def _need_isthmus(manifest: Manifest | None) -> set[str]:
    """Name the runtimes in which isthmus itself is started, or holds the contract."""
    if manifest is None:
        return set()
    if manifest.contract.file is not None:
        return set(manifest.runtimes)
    processes = manifest.processes.values()
    return {each.runtime for each in processes if each.runtime and each.command[0] == ISTHMUS}


def _of_this_shell(environ: Mapping[str, str]) -> list[RuntimeSettings]:
    """Describe the Pythons that a person in this shell meets: ours, and the first on PATH."""
    found = [RuntimeSettings("isthmus", (sys.executable,), folder=Path.cwd())]
    for name in ("python3", "python"):
        first = shutil.which(name, path=environ.get("PATH", ""))
        known = {os.path.dirname(os.path.abspath(each.python[0])) for each in found}
        if first and os.path.dirname(os.path.abspath(first)) not in known:
            found.append(RuntimeSettings(name, (first,), folder=Path.cwd()))
    return found


def _facts(subject: Subject, answers: Mapping[str, Inquiry]) -> RuntimeFacts:
    answer = answers.get(subject.settings.name)
    if answer is None:
        return subject.facts
    return replace(
        subject.facts,
        interface=answer.interface,
        wire=answer.wire,
        isthmus=answer.isthmus or subject.facts.isthmus,
    )


def _order(finding: Finding) -> bool:
    return finding.level != FAULT
