"""What a run leaves behind: who ran what, every step, and a page to look at.

    run = Run.create("runs", {"seed": 0})
    with run.episode(seed=0) as episode:
        episode.append(q=q, status=0, total_ns=action.timing.total)
        episode.finish(success=True)
    run.finish({"reached": 1})
    write_report(run)

Nothing here knows a robot or a simulator: pictures are drawn from shapes somebody else placed.
"""

from __future__ import annotations

from .facts import git_facts, host_facts, interpreter_facts
from .layout import STATUSES
from .png import png
from .randomization import randomization_facts
from .report import write_report
from .run import Episode, EpisodeRecorder, Run
from .scene import Part, Scene
from .view import Still

__all__ = [
    "STATUSES",
    "Episode",
    "EpisodeRecorder",
    "Part",
    "Run",
    "Scene",
    "Still",
    "git_facts",
    "host_facts",
    "interpreter_facts",
    "png",
    "randomization_facts",
    "write_report",
]
