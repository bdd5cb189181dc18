"""`report.html`: a run as one page that needs no network and no program to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import RecordError
from . import layout
from .files import write_text
from .page import page
from .run import Run
from .scene import Scene
from .view import Still, View

__all__ = ["write_report"]


def write_report(run: Run, scenes: Sequence[Scene] = (), stills: Sequence[Still] = ()) -> Path:
    """Write the page of a run, finished or not.

    Args:
        run: opened or just finished.
        scenes: the arm in space, one per recorded episode; none leaves out the pictures.
        stills: pictures from a renderer, if there is one.

    Returns:
        Where the page is.

    Raises:
        RecordError: scenes and episodes do not match.
    """
    episodes = run.episodes()
    if scenes and [len(s) for s in scenes] != [len(e) for e in episodes]:
        raise RecordError(
            f"{run.path}: scenes of {[len(s) for s in scenes]} steps for episodes of "
            f"{[len(e) for e in episodes]}; prepare one scene per episode, one frame per step"
        )
    path = run.path / layout.REPORT
    write_text(path, page(View(run.meta, run.metrics(), episodes, scenes, stills)))
    return path
