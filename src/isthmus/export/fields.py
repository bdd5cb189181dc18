"""What an exported policy's numbers are called: its contract, given or made from its spaces."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contract import Contract
from ..contract.gym import contract_from_spaces
from ..errors import ContractError
from .source import Source
from .spaces import Box, Dict, Space

__all__ = ["Layout", "Naming", "input_width", "lay_out"]

CONTROL_DT = 0.04
"""Seconds between two actions where nobody says how many: 25 Hz, as the first arms were driven."""


@dataclass(frozen=True)
class Naming:
    """What the caller says of a policy's numbers.

    Attributes:
        contract: what it is to be served under; the rest of this is then not needed.
        observation: the fields of its input in order, `NAME:WIDTH` each (`NAME` with a contract).
        semantics: what its action means; "" finds out.
        fallback: what replaces an action that did not come; "" takes the semantics' default.
        control_dt: seconds between two actions; None takes `CONTROL_DT`.
        scale: what the action is multiplied by, for one trained in -1..1.
    """

    contract: Contract | None = None
    observation: tuple[str, ...] = ()
    semantics: str = ""
    fallback: str = ""
    control_dt: float | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Layout:
    """A contract, and how a policy's input and output are its fields.

    Attributes:
        contract: what crosses.
        concat: the observation fields that make up the input, in order.
        assumed: what nobody said, in words.
    """

    contract: Contract
    concat: tuple[str, ...]
    assumed: tuple[str, ...] = ()


def lay_out(source: Source, naming: Naming, name: str) -> Layout:
    """Find the contract of a policy.

    Args:
        source: the policy.
        naming: what its numbers are called.
        name: a word for people.

    Raises:
        ContractError: the contract has other widths than the policy, or something must be said
            that nobody said.
    """
    if not math.isfinite(naming.scale) or naming.scale == 0.0:
        raise ContractError(f"scale must be a finite number other than 0, got {naming.scale}")
    if naming.contract is not None:
        return _given(source, naming, naming.contract)
    arm = _is_arm(source, naming)
    observation = _observed(source, naming, arm=arm)
    semantics = naming.semantics or ("delta" if arm else "opaque")
    action = "delta" if semantics == "delta" else "action"
    if semantics == "opaque" and not naming.fallback:
        raise ContractError(
            "nothing says what this policy's action means, so nothing says what replaces one that "
            "does not come in time: name it with --fallback (hold, zero or robot), say what the "
            "action is with --semantics, or give a whole contract with --contract FILE"
        )
    measured = _measured(source, observation, semantics)
    units = {"q": "rad", "dq": "rad/s", "delta": "rad"} if arm else {}
    contract = contract_from_spaces(
        Dict(observation),
        Dict({action: _scaled(source.action, naming.scale)}),
        name=name,
        control_dt=naming.control_dt or CONTROL_DT,
        semantics=semantics,
        fallback=naming.fallback,
        measured_position=measured,
        units={field: unit for field, unit in units.items() if field in {*observation, action}},
    )
    return Layout(contract, tuple(observation), tuple(_assumed(naming, arm=arm)))


def input_width(naming: Naming) -> int | None:
    """Numbers of the input, as far as the naming alone says it."""
    fields = [text.partition(":") for text in naming.observation]
    if naming.contract is not None:
        widths = {field.name: field.width for field in naming.contract.observation}
        names = [name for name, _, _ in fields] or list(widths)
        return sum(widths.get(name, 0) for name in names) or None
    return sum(_field(text)[1] for text in naming.observation) or None


def _given(source: Source, naming: Naming, contract: Contract) -> Layout:
    """Hold a contract against the policy's widths."""
    given = (naming.semantics, naming.fallback, naming.control_dt)
    if any(given):
        raise ContractError(
            "the contract says what the action means, its fallback and its period; leave "
            "--semantics, --fallback and --control-dt out"
        )
    widths = {field.name: field.width for field in contract.observation}
    concat = naming.observation or tuple(widths)
    unknown = [name for name in concat if name not in widths]
    if unknown:
        raise ContractError(
            f"--observation names {unknown[0]!r}, which is no field of the contract; there are "
            f"{', '.join(widths)} (without widths: the contract has them)"
        )
    total = sum(widths[name] for name in concat)
    if total != source.inputs:
        listed = ", ".join(f"{name} ({widths[name]})" for name in concat)
        raise ContractError(
            f"the policy takes {source.inputs} numbers, and the contract's fields {listed} have "
            f"{total}; say which of them it was trained on, in which order, with --observation"
        )
    acted = sum(field.width for field in contract.action)
    if acted != source.outputs:
        raise ContractError(
            f"the policy answers {source.outputs} numbers, and the contract's action has {acted}"
        )
    return Layout(contract, concat)


def _is_arm(source: Source, naming: Naming) -> bool:
    """Positions and velocities in, one increment per joint out: what the first arms were."""
    action = source.action
    return (
        isinstance(action, Box)
        and action.low.ndim == 1
        and source.inputs == 2 * action.width
        and not naming.observation
        and naming.semantics in ("", "delta")
    )


def _observed(source: Source, naming: Naming, *, arm: bool) -> dict[str, Box]:
    box = source.observation
    if arm:
        joints = source.inputs // 2
        return _parts(box, [("q", joints), ("dq", joints)])
    if not naming.observation:
        return {"observation": box}
    fields = [_field(text) for text in naming.observation]
    total = sum(width for _, width in fields)
    if total != source.inputs:
        raise ContractError(f"--observation has {total} numbers, the policy takes {source.inputs}")
    return _parts(box, fields)


def _field(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"([^:]+):([1-9]\d{0,8})", text)
    if found is None:
        raise ContractError(f"--observation: expected NAME:WIDTH, got {text!r}")
    return found[1], int(found[2])


def _parts(box: Box, fields: Sequence[tuple[str, int]]) -> dict[str, Box]:
    """A box cut into rows, as long as each field is wide."""
    low, high = box.low.ravel(), box.high.ravel()
    found: dict[str, Box] = {}
    start = 0
    for name, width in fields:
        if name in found:
            raise ContractError(f"--observation names {name!r} twice")
        part = slice(start, start + width)
        found[name] = Box(low[part], high[part], box.dtype)
        start += width
    return found


def _scaled(action: Space, scale: float) -> Space:
    if not isinstance(action, Box):
        if scale != 1.0:
            raise ContractError("--scale multiplies numbers; this policy answers a class")
        return action
    bounds = [bound.astype(np.float64) * scale for bound in (action.low, action.high)]
    ends = np.sort(bounds, axis=0)
    return replace(action, low=ends[0], high=ends[1])


def _measured(source: Source, observation: dict[str, Box], semantics: str) -> str:
    """The field with the joints' positions, which a delta or a position is held by."""
    position = observation.get("q")
    same = position is not None and isinstance(source.action, Box)
    same = same and position.low.shape == source.action.low.shape  # type: ignore[union-attr]
    return "q" if same and semantics in ("delta", "position") else ""


def _assumed(naming: Naming, *, arm: bool) -> list[str]:
    said = []
    if arm:
        said.append(
            "the input is twice as wide as the action: positions q (rad), velocities dq (rad/s), "
            "and an increment delta (rad)"
        )
    if naming.control_dt is None:
        said.append(f"an action every {CONTROL_DT} s")
    return said
