"""Keeps the simulator's modules out of the policy's process.

    from isthmus import guard

    guard.install()     # from here on importing omni, isaacsim, carb or pxr raises, whoever does it

`install` guards this interpreter; `STARTUP_FOLDER` first on PYTHONPATH, with the names in
`ISTHMUS_FORBID_IMPORT`, guards every Python started with that environment. `isthmus.guard.scan`
finds forbidden imports without running anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.guard import hook
from isthmus.guard.hook import DEFAULT_FORBIDDEN, VARIABLE, forbidden, install, uninstall

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


def install_wanted(
    environ: Mapping[str, str], default: Iterable[str] = (), *, by: str = ""
) -> tuple[str, ...]:
    """Forbid what the environment says; what `default` says where it says nothing.

    Args:
        environ: its `ISTHMUS_FORBID_IMPORT` has the names; set and empty forbids nothing.
        default: names forbidden where that is not set.
        by: who forbids the default, for the error's text.

    Returns:
        The names that are forbidden now.

    Raises:
        EnvironmentSetupError: a name is not a module's name.
        ForbiddenImportError: some are loaded already.
    """
    try:
        return hook.install_wanted(environ, default, by=by)
    except ValueError as exc:
        raise EnvironmentSetupError(f"{VARIABLE}: {exc}") from exc
