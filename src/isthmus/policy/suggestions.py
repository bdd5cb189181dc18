"""What a user may have meant by a target that names code and leads nowhere."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

__all__ = ["suggest_function", "suggest_module", "target_of_file"]

_ON_THE_PATH = (
    "start this in the folder it lies in, or put that folder on PYTHONPATH (a runtime of "
    "isthmus.toml drops the shell's: there it is `pythonpath` of its [runtime.NAME])"
)


def target_of_file(path: str, function: str = "") -> str:
    """The target for a function in a file: `my_policies.py` -> `my_policies:FUNCTION`."""
    parts = Path(path).with_suffix("").parts
    # Of an absolute path only the name can be imported: its folder has to be on the path.
    dotted = ".".join(part for part in parts if part != ".") if parts[0] != "/" else parts[-1]
    return f"{dotted}:{function or 'FUNCTION'}"


def suggest_module(target: str) -> str:
    """What to do where the module of `pkg.mod:factory` is not found."""
    module, _, function = target.partition(":")
    if module.endswith(".py"):
        return f"leave out .py: {target_of_file(module, function)}"
    first, dot, rest = module.partition(".")
    near = get_close_matches(first, sorted(set(_importable_here())), 1)
    if near and near[0] != first:
        return f"did you mean {near[0]}{dot}{rest}:{function}?"
    return _ON_THE_PATH


def suggest_function(holder: object, name: str, module: str) -> str:
    """What to do where the module is found and has no such function.

    Args:
        holder: the module, or what in it was found last.
        name: what it does not have.
        module: the module's name; a function it imported from elsewhere is not meant.
    """
    made = (
        [
            each
            for each, found in vars(holder).items()
            if callable(found)
            and not each.startswith("_")
            and inspect.getmodule(found) in (None, holder)
        ]
        if inspect.ismodule(holder)
        else []
    )
    near = get_close_matches(name, made, 1)
    if near:
        return f"did you mean {module}:{near[0]}?"
    return f"name a function of that module{': ' + ', '.join(made[:8]) if made else ''}"


def _importable_here() -> Iterator[str]:
    """The modules and packages in the current folder."""
    for path in Path.cwd().iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            yield path.stem
