"""Keeps the simulator's modules out of the policy's process.

    from isthmus import guard

    guard.install()     # from here on importing omni, isaacsim, carb or pxr raises, whoever does it

`install` guards this interpreter; `STARTUP_FOLDER` first on PYTHONPATH, with the names in
`ISTHMUS_FORBID_IMPORT`, guards every Python started with that environment. `isthmus.guard.scan`
finds forbidden imports without running anything.
"""

from __future__ import annotations

from pathlib import Path

from isthmus.guard.hook import (
    DEFAULT_FORBIDDEN,
    VARIABLE,
    forbidden,
    install,
    install_wanted,
    uninstall,
)

__all__ = [
    "DEFAULT_FORBIDDEN",
    "STARTUP_FOLDER",
    "VARIABLE",
    "forbidden",
    "install",
    "install_wanted",
    "uninstall",
]

STARTUP_FOLDER = Path(__file__).resolve().parent / "startup"
"""What goes first on a child's PYTHONPATH to guard it and its children."""
