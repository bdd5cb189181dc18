"""A folder that we may not look into, also where tests run as the user who may everything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder meanwhile, ourselves included."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    almighty = os.geteuid() == 0
    try:
        if almighty:
            os.seteuid(_NOBODY)
        yield
    finally:
        if almighty:
            os.seteuid(0)
        folder.chmod(mode)
