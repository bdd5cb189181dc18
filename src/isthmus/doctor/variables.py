"""The variables of a shell that belong to some other Python, simulator or robot."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

from isthmus.runtimes.cleaning import LIST_VARIABLES, Dropped, clean
from isthmus.runtimes.roots import find_roots

from .origins import Origins
from .report import Variable

__all__ = ["suspicious"]


def suspicious(environ: Mapping[str, str], origins: Origins) -> tuple[Variable, ...]:
    """List what `isthmus run` would not pass on, and who set it.

    Args:
        environ: as `os.environ`.
        origins: of the same environment.
    """
    by_name: dict[str, list[Dropped]] = {}
    for each in clean(environ, foreign_roots=find_roots(environ)).dropped:
        if not each.name.startswith("ISTHMUS_"):  # ours: `isthmus run` inside `isthmus run`
            by_name.setdefault(each.name, []).append(each)
    return tuple(_variable(environ, origins, name, parts) for name, parts in by_name.items())


def _variable(
    environ: Mapping[str, str], origins: Origins, name: str, parts: Sequence[Dropped]
) -> Variable:
    value = os.pathsep.join(dict.fromkeys(part.value for part in parts))
    return Variable(
        name=name,
        value=value,
        why="; ".join(dict.fromkeys(part.why for part in parts)),
        set_by=origins.of(name, value).text,
        unset=_unset(environ, name, parts),
    )


def _unset(environ: Mapping[str, str], name: str, parts: Sequence[Dropped]) -> str:
    if name not in LIST_VARIABLES:
        return f"unset {name}"
    gone = {part.value for part in parts}
    left = [each for each in environ[name].split(os.pathsep) if each not in gone]
    return f"export {name}={shlex.quote(os.pathsep.join(left))}" if any(left) else f"unset {name}"
