"""A contract from a robot's URDF: its joints in document order, and their limits.

What becomes a joint: `revolute`, `continuous` and `prismatic`, unless it mimics another. `fixed`
joints do not move; `floating` and `planar` ones are refused, because they are no single number.

Angles and lengths never share an array, since a field has one unit: a robot with both kinds gets
a second set of fields with `_linear` at the end (`q_linear`, `dq_linear`, `delta_linear`).

The text is parsed as it comes, without building a tree, and any document type declaration is
refused before parsing: that is where XML's entities grow without bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError, XMLParser

from ..errors import ContractError
from .actions import ActionField
from .checks import brief, check_choice, check_name, nanoseconds
from .contract import Contract
from .fields import RANGES, SEMANTICS, Field
from .limits import Limits
from .units import RATES

__all__ = ["MAX_URDF", "Joint", "contract_from_urdf", "urdf_joints"]

MAX_URDF = 16 << 20
"""Longest URDF that is read, in characters."""

MAX_DEPTH = 64
MAX_JOINTS = 1024

_UNITS = {"revolute": "rad", "continuous": "rad", "prismatic": "m"}
_FORCES = {"rad": "N*m", "m": "N"}
_STILL = ("fixed",)
_UNBOUNDED = RANGES["float32"][1]


@dataclass(frozen=True)
class Joint:
    """One joint that moves.

    Attributes:
        name: as the URDF names it.
        unit: `rad` or `m`.
        low: smallest position, None if it turns for ever.
        high: largest position, likewise.
        velocity: largest speed per second, None if the URDF does not say.
        effort: largest torque or force, None if the URDF does not say.
    """

    name: str
    unit: str
    low: float | None
    high: float | None
    velocity: float | None
    effort: float | None


def contract_from_urdf(
    xml_text: str,
    *,
    control_dt: float,
    semantics: str = "delta",
    reference: str = "target",
    fallback: str = "",
    actuator: str = "simulated",
    name: str = "",
) -> Contract:
    """Describe a robot by its URDF: `q` and `dq` observed, one action named as its semantics.

    Args:
        xml_text: the URDF; xacro must have been expanded.
        control_dt: seconds between two actions.
        semantics: `position`, `delta`, `velocity` or `torque`.
        reference: what a delta is added to.
        fallback: "" is the semantics' default.
        actuator: `simulated` or `real`.
        name: a word for people; "" is the robot's name in the URDF.

    Raises:
        ContractError: no readable URDF, a joint that cannot be described (named), or parts that
            contradict each other.
    """
    check_choice("semantics", semantics, [word for word in SEMANTICS if word != "opaque"])
    robot, joints = _read(xml_text)
    dt_ns = nanoseconds("control_dt", control_dt)
    observation: list[Field] = []
    action: list[ActionField] = []
    limits: dict[str, Limits] = {}
    groups = [[j for j in joints if j.unit == unit] for unit in ("rad", "m")]
    mixed = all(groups)
    for group in filter(None, groups):
        unit = group[0].unit
        end = "_linear" if mixed and unit == "m" else ""
        names = tuple(joint.name for joint in group)
        shape = (len(group),)
        observation.append(Field(f"q{end}", shape, "float32", unit, names))
        observation.append(Field(f"dq{end}", shape, "float32", RATES[unit], names))
        units = {"velocity": RATES[unit], "torque": _FORCES[unit]}
        command = ActionField(
            f"{semantics}{end}",
            shape,
            "float32",
            units.get(semantics, unit),
            names,
            semantics=semantics,
            reference=reference,
            measured_position=f"q{end}",
            measured_velocity=f"dq{end}",
            fallback=fallback,
        )
        action.append(command)
        limits[command.name] = _limits(group, semantics)
    return Contract(
        name or robot,
        tuple(observation),
        tuple(action),
        dt_ns,
        actuator=actuator,
        limits={key: found for key, found in limits.items() if found.size is not None},
        robot_id=robot,
    )


def urdf_joints(xml_text: str) -> tuple[Joint, ...]:
    """List the joints that move, in document order.

    Raises:
        ContractError: no readable URDF, or a joint that cannot be described (named).
    """
    return _read(xml_text)[1]


def _read(xml_text: str) -> tuple[str, tuple[Joint, ...]]:
    if not isinstance(xml_text, str):
        raise ContractError(f"URDF: expected text, got {type(xml_text).__name__}")
    if len(xml_text) > MAX_URDF:
        raise ContractError(f"URDF of {len(xml_text)} characters; at most {MAX_URDF} are read")
    for word in ("<!DOCTYPE", "<!ENTITY"):
        if word in xml_text:
            raise ContractError(f"URDF: {word} is refused; a URDF needs no document type")
    reader = _Reader()
    parser = XMLParser(target=reader)
    try:
        parser.feed(xml_text)
        parser.close()
    except (ParseError, ValueError) as exc:  # ValueError: lone surrogates
        raise ContractError(f"URDF: not well-formed: {exc}") from exc
    joints = tuple(_joint(each) for each in reader.joints if _moves(each))
    names = [joint.name for joint in joints]
    for name in names:
        if names.count(name) > 1:
            raise ContractError(f"URDF: two joints are named {name!r}")
    if not joints:
        raise ContractError("URDF: no joint that moves")
    return check_name("URDF: robot's name", reader.robot), joints


class _Reader:
    """Collects the joints while the text is parsed: each joint's attributes and its children's."""

    def __init__(self) -> None:
        self.robot = ""
        self.joints: list[dict[str, Mapping[str, str]]] = []
        self._path: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag)
        if "xacro" in tag.partition("}")[0]:
            raise ContractError(f"URDF: {brief(tag)} is xacro; expand it first: `xacro FILE`")
        if len(self._path) > MAX_DEPTH:
            raise ContractError(f"URDF: nested deeper than {MAX_DEPTH}")
        if len(self._path) == 1:
            if tag != "robot":
                raise ContractError(f"URDF: expected the element 'robot', got {brief(tag)}")
            self.robot = attributes.get("name", "")
        elif self._path[1:] == ["joint"]:
            self.joints.append({"joint": dict(attributes)})
            if len(self.joints) > MAX_JOINTS:
                raise ContractError(f"URDF: more than {MAX_JOINTS} joints")
        elif len(self._path) == 3 and self._path[1] == "joint":
            self.joints[-1][tag] = dict(attributes)

    def end(self, tag: str) -> None:
        del tag
        self._path.pop()

    def close(self) -> None:
        pass


def _moves(parts: Mapping[str, Mapping[str, str]]) -> bool:
    kind = parts["joint"].get("type", "")
    name = parts["joint"].get("name", "")
    check_name("URDF: a joint's name", name)
    check_choice(f"URDF: joint {name!r}: type", kind, (*_UNITS, *_STILL))
    return kind in _UNITS and "mimic" not in parts


def _joint(parts: Mapping[str, Mapping[str, str]]) -> Joint:
    name, kind = parts["joint"]["name"], parts["joint"]["type"]
    bounds = parts.get("limit")
    if bounds is None and kind != "continuous":
        raise ContractError(f"URDF: joint {name!r} is {kind} and has no <limit>")
    bounds = bounds or {}
    low = high = None
    if kind != "continuous":
        low, high = (_number(name, bounds, key, 0.0) for key in ("lower", "upper"))
        if low >= high:
            raise ContractError(
                f"URDF: joint {name!r} has lower {low} and upper {high}, so it cannot move; "
                "give it its range, or make it fixed"
            )
    velocity, effort = (
        _number(name, bounds, key, 0.0) if key in bounds else None for key in ("velocity", "effort")
    )
    return Joint(name, _UNITS[kind], low, high, velocity, effort)


def _number(name: str, bounds: Mapping[str, str], key: str, default: float) -> float:
    text = bounds.get(key)
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ContractError(f"URDF: joint {name!r}: {key} {brief(text)} is no finite number")
    return found


def _limits(joints: Sequence[Joint], semantics: str) -> Limits:
    """The joints' limits as the semantics means them."""
    if semantics == "torque":
        effort = _positive(joints, "effort")
        return Limits(low=effort and tuple(-value for value in effort), high=effort)
    velocity = _positive(joints, "velocity")
    if semantics == "velocity":
        return Limits(max_rate=velocity)
    low, high = _bounds([j.low for j in joints], -1), _bounds([j.high for j in joints], 1)
    return Limits(low=low, high=high, max_rate=velocity)


def _positive(joints: Sequence[Joint], key: str) -> tuple[float, ...] | None:
    values: list[float | None] = [getattr(joint, key) for joint in joints]
    for joint, value in zip(joints, values, strict=True):
        if value is not None and value <= 0:
            raise ContractError(
                f"URDF: joint {joint.name!r} has {key} {value:g}, which would hold it still; "
                "give it its real value, or leave it out if unbounded"
            )
    return _bounds(values, 1)


def _bounds(values: Sequence[float | None], sign: int) -> tuple[float, ...] | None:
    """None if no joint is bounded; where some are, the others get float32's last value."""
    if all(value is None for value in values):
        return None
    return tuple(sign * _UNBOUNDED if value is None else value for value in values)
