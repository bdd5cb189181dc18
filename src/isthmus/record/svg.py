"""SVG and HTML elements as text. Pure, and escapes what it is given."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["element", "number", "path", "picture", "text"]

_VOID = frozenset({"meta", "link", "img", "br", "input"})


def number(value: float) -> str:
    """A coordinate with at most two decimals and no trailing zeros."""
    shown = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def element(tag: str, *children: str, **attributes: object) -> str:
    """One element around children that are markup already.

    Args:
        tag: element name.
        children: markup; use `text` or `html.escape` for words.
        attributes: `_` becomes `-`, a trailing one is dropped (`class_`), None is left out.
    """
    found = []
    for key, value in attributes.items():
        if value is None:
            continue
        shown = number(value) if isinstance(value, float) else str(value)
        found.append(f' {key.rstrip("_").replace("_", "-")}="{html.escape(shown)}"')
    if tag in _VOID:
        return f"<{tag}{''.join(found)}>"
    return f"<{tag}{''.join(found)}>{''.join(children)}</{tag}>"


def text(x: float, y: float, words: str, class_: str = "t", **attributes: object) -> str:
    """A line of text at a point."""
    return element("text", html.escape(words), x=float(x), y=float(y), class_=class_, **attributes)


def path(
    points: Iterable[tuple[float, float]], *, close: bool = False, **attributes: object
) -> str:
    """A polyline; points closer than half a pixel to the last one drawn are left out."""
    kept: list[tuple[float, float]] = []
    last: tuple[float, float] | None = None
    for x, y in points:
        last = (float(x), float(y))
        if not kept or abs(last[0] - kept[-1][0]) + abs(last[1] - kept[-1][1]) >= 0.5:
            kept.append(last)
    if last is not None and kept[-1] != last:
        kept.append(last)
    drawn = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in kept) if kept else ""
    return element("path", d=drawn + ("Z" if close else ""), **attributes)


def picture(width: float, height: float, *children: str, label: str, class_: str = "") -> str:
    """An inline SVG that scales with its container and says in words what it shows."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        class_=class_ or None,
    )
