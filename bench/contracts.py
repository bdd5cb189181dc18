"""Contracts for what is measured: the null policy's four payloads, and an arm with every limit."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus import ActionField, Contract, Field, Limits

from .payloads import PAYLOADS

CONTROL_DT_NS = 40_000_000
JOINTS = 12


def null_contract(name: str) -> Contract:
    """The contract of a payload: opaque actions, no limits: little for the gate to do."""
    payload = PAYLOADS[name]
    return Contract(
        name=f"bench_{name}",
        observation=tuple(Field(s.name, s.shape, s.dtype) for s in payload.ask),
        action=tuple(
            ActionField(s.name, s.shape, s.dtype, semantics="opaque", fallback="zero")
            for s in payload.answer
        ),
        control_dt_ns=CONTROL_DT_NS,
    )


def limited_arm() -> Contract:
    """Twelve joints commanded by position, with bounds, rates and accelerations."""
    joints = tuple(f"joint{i}" for i in range(JOINTS))
    pose = Field("q", (JOINTS,), "float32", "rad", joints)
    command = ActionField(
        "target", (JOINTS,), "float32", "rad", joints, semantics="position", measured_position="q"
    )
    limits = Limits(
        low=(-1.5,) * JOINTS,
        high=(1.5,) * JOINTS,
        max_rate=(2.0,) * JOINTS,
        max_acceleration=(20.0,) * JOINTS,
    )
    return Contract("bench_arm", (pose,), (command,), CONTROL_DT_NS, limits={"target": limits})


def write_contracts(folder: Path) -> None:
    """Leave `contract-NAME.json` in the folder for every payload."""
    for name in PAYLOADS:
        text = json.dumps(null_contract(name).to_dict(), indent=1)
        (folder / f"contract-{name}.json").write_text(text + "\n", encoding="utf-8")
