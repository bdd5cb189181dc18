"""The arm as its MJCF file describes it, read with the standard library alone.

`roarm_m3.xml` is the one place that holds the arm's lengths, ranges and looks. MuJoCo compiles it
where there is a simulator; this module reads the same frames, joints and shapes where there is
none, so that kinematics and drawings need numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from xml.etree import ElementTree

from ...errors import ContractError

__all__ = ["ArmModel", "Link", "Part", "arm_model", "mjcf"]

Vector = tuple[float, float, float]
Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A visible shape: a line with a radius, in its link's frame.

    Attributes:
        name: unique in the model.
        kind: `capsule` (round ends) or `cylinder` (flat ends).
        start: one end of the axis, m.
        end: the other end, m.
        radius: m.
        colour: red, green, blue, opacity; each 0..1.
    """

    name: str
    kind: str
    start: Vector
    end: Vector
    radius: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Link:
    """A rigid body and the joint that carries it.

    Attributes:
        name: the body's name.
        parent: index of the parent in `ArmModel.links`, -1 for the base.
        position: origin of this frame in the parent's frame, m. At q = 0 all frames are parallel.
        joint: name of the joint, "" for the base.
        axis: unit axis of the joint in this frame; zeros for the base.
        low: lower joint limit, rad.
        high: upper joint limit, rad.
        parts: what is seen of it.
    """

    name: str
    parent: int
    position: Vector
    joint: str
    axis: Vector
    low: float
    high: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ArmModel:
    """The whole arm: links in depth-first order, and where the tool tip sits.

    Attributes:
        links: base first; a parent always comes before its children.
        tip_link: index of the link that carries the tip.
        tip: the tip in that link's frame, m.
    """

    links: tuple[Link, ...]
    tip_link: int
    tip: Vector

    @property
    def joints(self) -> tuple[Link, ...]:
        """The links that move, in joint order."""
        return tuple(link for link in self.links if link.joint)


def mjcf() -> str:
    """The arm's MJCF, as text."""
    return files(__package__).joinpath("roarm_m3.xml").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def arm_model() -> ArmModel:
    """The arm, read once from its MJCF.

    Raises:
        ContractError: the file says angles in degrees, or has no site called `tip`.
    """
    root = ElementTree.fromstring(mjcf())
    compiler = root.find("compiler")
    if compiler is None or compiler.get("angle") != "radian":
        raise ContractError('roarm_m3.xml: expected <compiler angle="radian">; without it degrees')
    colours = {
        material.get("name", ""): _numbers(material.get("rgba", "1 1 1 1"))
        for material in root.iter("material")
    }
    base = root.find("worldbody/body[@name='base_link']")
    bodies = [] if base is None else list(_walk(base, -1, []))
    for index, (body, _) in enumerate(bodies):
        site = body.find("site[@name='tip']")
        if site is not None:
            links = tuple(_link(body, parent, colours) for body, parent in bodies)
            return ArmModel(links, index, _vector(site.get("pos", "")))
    raise ContractError("roarm_m3.xml: expected a site named 'tip' below body 'base_link'")


def _walk(
    body: ElementTree.Element, parent: int, seen: list[int]
) -> Iterator[tuple[ElementTree.Element, int]]:
    index = len(seen)
    seen.append(index)
    yield body, parent
    for child in body.findall("body"):
        yield from _walk(child, index, seen)


def _link(body: ElementTree.Element, parent: int, colours: dict[str, tuple[float, ...]]) -> Link:
    joint = body.find("joint")
    attributes = {} if joint is None else joint.attrib
    low, high = _numbers(attributes.get("range", "0 0"))
    return Link(
        name=body.get("name", ""),
        parent=parent,
        position=_vector(body.get("pos", "0 0 0")),
        joint=attributes.get("name", ""),
        axis=_vector(attributes.get("axis", "0 0 0")),
        low=low,
        high=high,
        parts=tuple(_part(geom, colours) for geom in body.findall("geom[@class='part']")),
    )


def _part(geom: ElementTree.Element, colours: dict[str, tuple[float, ...]]) -> Part:
    ends = _numbers(geom.attrib["fromto"])
    red, green, blue, opacity = colours[geom.attrib["material"]]
    return Part(
        name=geom.get("name", ""),
        kind=geom.get("type", "capsule"),
        start=(ends[0], ends[1], ends[2]),
        end=(ends[3], ends[4], ends[5]),
        radius=float(geom.attrib["size"]),
        colour=(red, green, blue, opacity),
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split())


def _vector(text: str) -> Vector:
    x, y, z = _numbers(text)
    return x, y, z
