"""Metrics in a file, for the textfile collector of a node exporter: the first system's and ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..telemetry import Snapshot
from .families import Family, constant_labels, families
from .first_system import FIRST_SYSTEM
from .metrics import METRICS

__all__ = ["Textfile", "render"]

_ESCAPES = {"\\": r"\\", "\n": r"\n", '"': r"\""}
_IN_HELP = str.maketrans({mark: _ESCAPES[mark] for mark in "\\\n"})
_IN_LABEL = str.maketrans(_ESCAPES)


class Textfile:
    """Writes each snapshot it is called with; a reader sees a whole one or the one before.

    Args:
        path: the file, `*.prom` in the collector's folder. Nothing else may write it.
        instance_id: which gateway this is.
        labels: True adds `instance_id` and `policy_kind` to every sample.
    """

    def __init__(self, path: Path, *, instance_id: str = "", labels: bool = False) -> None:
        self._path = path
        self._instance_id = instance_id
        self._labels = labels
        self._writing = threading.Lock()

    def __call__(self, snapshot: Snapshot) -> None:
        """Replace the file.

        Raises:
            OSError: no space, no folder, no permission; the former file is still there, unless
                somebody else removed it.
        """
        constant = constant_labels(snapshot, self._instance_id, self._labels)
        text = render(families(snapshot, constant, (*FIRST_SYSTEM, *METRICS)))
        # The collector reads *.prom only, so it never looks at this one.
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with self._writing:
            try:
                beside.write_text(text, encoding="utf-8")
                os.replace(beside, self._path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise


def render(found: Iterable[Family]) -> str:
    """The text format 0.0.4, which every collector reads.

    Written here, and not by a library, because a library adds `_total` to a counter's name, and
    the first system's names are what they are.
    """
    return "".join(line + "\n" for family in found for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    kind = "gauge" if family.kind == "info" else family.kind  # this format has no info
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}"
    yield f"# TYPE {family.name} {kind}"
    for sample in family.samples:
        labels = ",".join(
            f'{name}="{value.translate(_IN_LABEL)}"' for name, value in sample.labels.items()
        )
        yield (
            f"{family.name}{sample.suffix}{{{labels}}} {sample.value!r}"
            if labels
            else (f"{family.name}{sample.suffix} {sample.value!r}")
        )
