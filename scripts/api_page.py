"""The parts of docs/API.md that the code knows better: arguments, attributes and the errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from isthmus import errors
from isthmus.client import Action, Link, Rate, Timing, connect

PAGE = Path(__file__).resolve().parent.parent / "docs" / "API.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ENTRY = re.compile(r"^    (\**\w[\w, ]*?)(?: \(.*?\))?: (.*)$")


def api_page() -> str:
    """The page as it is, with its generated parts written anew."""
    return BLOCK.sub(
        lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}",
        PAGE.read_text(encoding="utf-8"),
    )


def section(documented: object, head: str) -> dict[str, str]:
    """The entries of one section of a Google docstring: name -> text."""
    lines = (inspect.getdoc(documented) or "").splitlines()
    if f"{head}:" not in lines:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index(f"{head}:") + 1 :]:
        if line and not line.startswith("    "):
            break
        entry = ENTRY.match(line)
        if entry:
            name = entry[1].lstrip("*")
            found[name] = entry[2]
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """A table, its cells on one line each."""
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def arguments(function: Callable[..., object]) -> str:
    """Every argument with its default and meaning; an error if one is not documented."""
    told = section(function, "Args")
    return table("| argument | default | meaning |", _arguments(function, told))


def _arguments(function: Callable[..., object], told: dict[str, str]) -> Iterator[tuple[str, ...]]:
    for each in inspect.signature(function).parameters.values():
        if each.name == "self":
            continue
        spread = each.kind is inspect.Parameter.VAR_KEYWORD
        needed = each.default is inspect.Parameter.empty
        given = "" if spread else "required" if needed else f"`{each.default!r}`"
        yield f"`{'**' * spread}{each.name}`", given.replace("'", '"'), told[each.name]


def raised(function: Callable[..., object]) -> str:
    """What a function raises."""
    found = section(function, "Raises")
    return table("| raises | when |", ((f"`{name}`", why) for name, why in found.items()))


def attributes(cls: type) -> str:
    """What the class's docstring lists, then its properties."""
    found = section(cls, "Attributes")
    for name, member in vars(cls).items():
        if isinstance(member, property):
            found[name] = " ".join((inspect.getdoc(member) or "").split())
    return table("| attribute | |", ((f"`{name}`", why) for name, why in found.items()))


def error_tree() -> str:
    """The tree as errors.py draws it."""
    drawn = (errors.__doc__ or "").split("::\n\n", 1)[1].split("\n\n", 1)[0]
    return f"```text\n{inspect.cleandoc(drawn)}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "connect": lambda: f"{arguments(connect)}\n\n{raised(connect)}",
    "act": lambda: f"{arguments(Link.act)}\n\n{raised(Link.act)}",
    "reset": lambda: arguments(Link.reset),
    "link": lambda: attributes(Link),
    "action": lambda: attributes(Action),
    "timing": lambda: attributes(Timing),
    "rate": lambda: attributes(Rate),
    "errors": error_tree,
}
