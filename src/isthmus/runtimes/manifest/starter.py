"""The text of a first `isthmus.toml`: what was found, and every other key as a suggestion.

A suggestion is a line `# key = value` or `# [table]`: it is meant when the "# " is taken away.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from isthmus.runtimes.manifest.findings import Finding
from isthmus.runtimes.manifest.keys import Key, Table, tables

__all__ = ["quoted", "starter_text"]

_OPENING = """\
# isthmus.toml: the Pythons of this project, and the programs of a run.
#
# A line such as `# key = value` or `# [table]` is a suggestion: take the "# " away to use it.
# Relative paths start here. ${NAME} is a variable of your environment, ~ your home folder."""

# What a bare Python needs for its side: a link numpy, a gateway also what runs the usual models.
_NEEDS = {"sim": '["numpy"]', "policy": '["numpy", "onnxruntime"]'}

_TABLES: Mapping[str, Table] = {table.header: table for table in tables()}


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the file.

    Attributes:
        header: the table, with a name for NAME.
        table: whose keys they are.
        meant: keys that hold, with their TOML values; none makes the header a suggestion, too.
        suggested: keys with values other than the table's own examples.
        left_out: keys that are not shown; None shows only those in `meant` and `suggested`.
        opening: a sentence above it.
    """

    header: str
    table: str
    meant: Mapping[str, str] = field(default_factory=dict)
    suggested: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] | None = ()
    opening: str = ""


def starter_text(sim: Finding, policy: Finding, schema: str = "") -> str:
    """Write a manifest that can be used as it is.

    Args:
        sim: the simulator's Python.
        policy: the policy's.
        schema: where the JSON Schema is, for editors; "" leaves it out.
    """
    explained: set[tuple[str, str]] = set()
    lines = [f"#:schema {schema}", ""] if schema else []
    lines += _OPENING.splitlines()
    for section in _sections(sim, policy):
        lines += ["", *_written(section, explained)]
    return "\n".join(lines) + "\n"


def _sections(sim: Finding, policy: Finding) -> Iterator[_Section]:
    tables_of_tables = ("runtime", "process", "run", "contract")
    yield _Section("", "", left_out=tables_of_tables)
    yield _Section(
        "runtime.sim",
        "runtime.NAME",
        meant={"python": quoted(sim.python), **_needs("sim", sim)},
        suggested={"lock": '"isthmus-locks/sim.txt"', "forbid_import": '["torch"]'},
        left_out=("env",),
        opening=f"The simulator's side: {sim.said}.",
    )
    yield _Section("runtime.sim.env", "runtime.NAME.env")
    yield _Section(
        "runtime.policy",
        "runtime.NAME",
        meant={
            "python": quoted(policy.python),
            **_needs("policy", policy),
            "forbid_import": '["omni", "isaacsim", "carb", "pxr"]',
        },
        left_out=None,
        opening=f"The policy's side: {policy.said}.",
    )
    yield from _RUN


def _needs(side: str, found: Finding) -> dict[str, str]:
    """Give a Python without packages those that its side cannot do without."""
    return {"requirements": _NEEDS[side]} if found.bare else {}


# How the two sides are run as one.
_RUN = (
    _Section(
        "process.gateway",
        "process.NAME",
        suggested={
            "command": '["isthmus", "serve", "policies/reach.onnx", '
            '"--listen", "unix:{sockets}/gateway.sock"]',
            "ready": '{ line = "^ready$" }',
        },
        left_out=("depends_on",),
        opening="Both sides as one: `isthmus up` starts what follows.",
    ),
    _Section(
        "process.sim",
        "process.NAME",
        suggested={
            "runtime": '"sim"',
            "command": '["python", "my_sim.py", "unix:{sockets}/gateway.sock"]',
            "depends_on": '["gateway"]',
        },
        left_out=None,
    ),
    _Section("run.demo", "run.NAME"),
    _Section("contract", "contract"),
)


def _written(section: _Section, explained: set[tuple[str, str]]) -> Iterator[str]:
    """Write a section; what is in `explained` is explained above it."""
    table = _TABLES[section.table]
    if section.opening:
        yield from _prose(section.opening)
    if section.header:
        yield f"{'' if section.meant else '# '}[{section.header}]"
    for key in table.keys:
        if not _shown(key, section):
            continue
        if (table.header, key.name) not in explained:
            explained.add((table.header, key.name))
            yield from _explanation(key)
        yield _line(key, section)


def _shown(key: Key, section: _Section) -> bool:
    if section.left_out is None:
        return key.name in {*section.meant, *section.suggested}
    return key.name not in section.left_out


def _line(key: Key, section: _Section) -> str:
    if key.name in section.meant:
        return f"{key.name} = {section.meant[key.name]}"
    return f"# {key.name} = {section.suggested.get(key.name) or key.example or key.default}"


def _explanation(key: Key) -> Iterator[str]:
    yield from _prose(f"{key.help[0].upper()}{key.help[1:]}.")
    for each in key.table.keys if key.table else ():
        yield from _prose(f"{each.name}: {each.help}.", "#     ")


def _prose(text: str, prefix: str = "# ") -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=prefix,
        subsequent_indent=prefix,
        break_long_words=False,
        break_on_hyphens=False,
    )


def quoted(text: str) -> str:
    """Write a text as a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda each: f"\\u{ord(each[0]):04x}", escaped) + '"'
