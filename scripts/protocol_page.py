"""The parts of docs/PROTOCOL.md that the code knows better: tables, bounds and the diagrams."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from isthmus.protocol import bounds, header, messages
from isthmus.protocol.jsoncontrol import TYPES
from isthmus.protocol.messages import KINDS
from isthmus.protocol.states import ROWS, SENDER, Event, Role

PAGE = Path(__file__).resolve().parent.parent / "docs" / "PROTOCOL.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SIDES = {Role.CLIENT: "link", Role.SERVER: "gateway", None: "either"}


def protocol_page() -> str:
    """The page as it is, with its generated parts written anew."""
    return BLOCK.sub(_filled, PAGE.read_text(encoding="utf-8"))


def _filled(found: re.Match[str]) -> str:
    return f"{found[1]}{PARTS[found[2]]()}\n{found[3]}"


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    count = head.count("|") - 1
    lines = [head, "|" + "---|" * count]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def kinds() -> str:
    """Every message: its number, its json type, who says it and what it is for."""
    return _table(
        "| message | kind | json `type` | said by | |",
        (
            (
                f"`{cls.__name__}`",
                kind.value,
                f"`{TYPES[kind]}`" if kind in TYPES else "none",
                SIDES[SENDER[Event[kind.name]]],
                (inspect.getdoc(cls) or "").splitlines()[0],
            )
            for cls, kind in KINDS.items()
        ),
    )


def diagram(driven: bool) -> str:
    """The table of states as a picture."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> START"]
    for (state, event), after in ROWS.items():
        of_driven = "DRIVEN" in state.name or event is Event.HELLO_DRIVEN
        if event is not Event.BYE and of_driven is driven:
            word = "HELLO" if event is Event.HELLO_DRIVEN else event.name
            lines.append(f"    {state.name} --> {after.name}: {word}")
    return "\n".join([*lines, "```"])


def layout() -> str:
    """The header's bytes, as header.py draws them."""
    drawn = (header.__doc__ or "").split("::\n\n", 1)[1].split("\n\n", 1)[0]
    return f"```text\n{inspect.cleandoc(drawn)}\n```"


def limits() -> str:
    """Every bound with its meaning, which is the text below it in bounds.py."""
    source = inspect.getsource(bounds)
    found = re.findall(r'^(MAX_\w+|WIRE_VERSION) = .*\n(?:"""(.*?)"""\n)?', source, re.MULTILINE)
    return _table(
        "| bound | value | |",
        ((f"`{name}`", f"{getattr(bounds, name):,}", why) for name, why in found),
    )


def codes() -> str:
    """Every error code."""
    return _table("| code | meaning |", ((f"`{c}`", why) for c, why in bounds.ERROR_CODES.items()))


def answers() -> str:
    """What may answer each question, as messages.py lists it."""
    drawn = (messages.__doc__ or "").split("::\n\n", 1)[1].split("\n\n", 1)[0]
    return f"```text\n{inspect.cleandoc(drawn)}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "kinds": kinds,
    "answers": answers,
    "plain": lambda: diagram(driven=False),
    "driven": lambda: diagram(driven=True),
    "header": layout,
    "bounds": limits,
    "codes": codes,
}
