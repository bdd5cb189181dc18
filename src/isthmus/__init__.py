"""A simulator or robot in one Python, a policy in another, and each action in time.

    import isthmus

    with isthmus.connect("unix:isthmus.sock", joints=robot.dof_names) as link:
        link.reset(seed=7)
        while running:
            action = link.act(q=q, dq=dq, goal=goal, sim_time=t)
            robot.apply(action["delta"])

The names below are the public interface; everything else may move. They are loaded when first
used (PEP 562), so `import isthmus` costs nothing and needs nothing but Python.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import VERSION

if TYPE_CHECKING:
    from isthmus import errors
    from isthmus.client import Link, Rate, connect
    from isthmus.contract import ActionField, Contract, Field, Limits
    from isthmus.errors import Error
    from isthmus.provenance import randomization_hash

__version__ = VERSION

__all__ = [
    "ActionField",
    "Contract",
    "Error",
    "Field",
    "Limits",
    "Link",
    "Rate",
    "__version__",
    "connect",
    "errors",
    "randomization_hash",
]

# Public name -> the module that defines it.
_HOME = {
    "ActionField": "isthmus.contract",
    "Contract": "isthmus.contract",
    "Error": "isthmus.errors",
    "Field": "isthmus.contract",
    "Limits": "isthmus.contract",
    "Link": "isthmus.client",
    "Rate": "isthmus.client",
    "connect": "isthmus.client",
    "randomization_hash": "isthmus.provenance",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, and keep it."""
    if name == "errors":
        value: Any = import_module("isthmus.errors")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
