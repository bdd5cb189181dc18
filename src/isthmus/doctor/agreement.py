"""Do the two sides, and the model, hold the same interface?"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isthmus import strictjson
from isthmus.contract.contract import Contract
from isthmus.contract.diff import diff
from isthmus.contract.text import loads
from isthmus.errors import Error
from isthmus.runtimes.settings import ContractSettings

from .inquiry import Inquiry
from .kinds import finding
from .report import FAULT, Finding

__all__ = ["agreement_findings", "model_interface"]


def agreement_findings(
    settings: ContractSettings, answers: Mapping[str, Inquiry], needing: Container[str] = ()
) -> Iterator[Finding]:
    """Compare what the runtimes computed with each other, and with the model's manifest.

    Args:
        settings: `[contract]`.
        answers: of the runtimes, by name.
        needing: runtimes that are of no use where isthmus does not work.
    """
    for name, answer in answers.items():
        if answer.error:
            evidence = [f"{name}: {line}" for line in answer.error.splitlines()]
            yield finding("contract-unreadable", "contract", evidence)
        if answer.unusable:
            kind = "no-numpy" if "'numpy'" in answer.unusable else "isthmus-unusable"
            unusable = finding(kind, f"runtime {name}", answer.unusable.splitlines())
            yield replace(unusable, level=FAULT) if name in needing else unusable
    yield from _between_runtimes(answers)
    yield from _with_model(settings)


def model_interface(settings: ContractSettings) -> str:
    """The interface of the model by its manifest; "" if there is none that can be read."""
    try:
        return _of_model(settings.model).interface_hash if settings.model else ""
    except (OSError, ValueError, Error):
        return ""


def _between_runtimes(answers: Mapping[str, Inquiry]) -> Iterator[Finding]:
    hashes = {name: answer.interface for name, answer in answers.items() if answer.interface}
    wires = {name: answer.wire for name, answer in answers.items() if answer.wire}
    for what, values in (("interface", hashes), ("wire version", wires)):
        if len(set(values.values())) > 1:
            evidence = [f"{what} in {name}: {value}" for name, value in values.items()]
            yield finding("interface-mismatch", "contract", evidence)


def _with_model(settings: ContractSettings) -> Iterator[Finding]:
    if settings.model is None:
        return
    try:
        model = _of_model(settings.model)
    except (OSError, ValueError, Error) as error:
        yield finding("model-unreadable", "contract", [f"{settings.model}: {_said(error)}"])
        return
    if settings.file is None:
        return
    try:
        form = "toml" if settings.file.suffix == ".toml" else "json"
        ours = loads(settings.file.read_bytes(), form)
    except (OSError, Error):
        return  # the runtimes have said so
    if ours.interface_hash != model.interface_hash:
        names = (settings.file.name, settings.model.name)
        found = diff(ours, model, *names, interface_only=True)
        yield finding("interface-mismatch", "contract", found.splitlines())


def _of_model(model: Path) -> Contract:
    """Read the contract in a model's manifest, which lies beside it."""
    file = model.with_name(f"{model.stem}.manifest.json")
    manifest: Any = strictjson.loads(file.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("contract"), dict):
        raise ValueError(f"{file} has no contract")
    return Contract.from_dict(manifest["contract"])


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
