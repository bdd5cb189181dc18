"""A run on disk: created, filled episode by episode, finished, and opened again."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import layout
from .columns import Columns
from .files import read_arrays, read_json, write_arrays, write_json
from .metrics import summarise
from .randomization import run_hash

__all__ = ["Episode", "EpisodeRecorder", "Run"]


@dataclass(frozen=True)
class Episode:
    """One recorded episode.

    Attributes:
        index: counted from 0.
        facts: what is true of the whole episode: seed, randomization, outcome, `complete`.
        columns: name -> array with the steps as its first axis.
    """

    index: int
    facts: Mapping[str, Any]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


class EpisodeRecorder:
    """Collects the steps of one episode and writes them when it is closed.

    Use it in a `with` block: an exception in the block still saves the steps taken, marked
    `complete: false`. An episode without a step leaves no file.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self._path = path
        self._facts = {"complete": False, **facts}
        self._columns = Columns()
        self._open = True

    def __enter__(self) -> EpisodeRecorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._save()

    def __len__(self) -> int:
        return len(self._columns)

    def append(self, **columns: Any) -> None:
        """Record one step; the first decides the columns.

        Raises:
            RecordError: the columns, shapes or dtypes differ from the first step's.
        """
        self._columns.append(columns)

    def finish(self, **facts: Any) -> None:
        """Save the episode as complete, with what is known of it only now."""
        self._facts.update(facts, complete=True)
        self._save()

    def _save(self) -> None:
        if not (self._open and len(self._columns)):
            return
        text = np.array(json.dumps(self._facts, allow_nan=False))
        write_arrays(self._path, {**self._columns.arrays(), layout.FACTS: text})
        self._open = False


class Run:
    """A run directory. Make one with `create` or `open`.

    Attributes:
        path: the directory.
        meta: what `meta.json` holds.
    """

    def __init__(self, path: Path, meta: dict[str, Any]) -> None:
        self.path = path
        self.meta = meta
        self._begun = 0

    @classmethod
    def create(
        cls,
        root: Path | str,
        meta: Mapping[str, Any],
        *,
        wall_ns: int | None = None,
        token: str | None = None,
        run_id: str | None = None,
    ) -> Run:
        """Make a new run directory below `root` and write its first `meta.json`.

        Args:
            root: made if missing, for instance `runs`.
            meta: facts known at the start; JSON values.
            wall_ns: start, nanoseconds since the Unix epoch; None reads the clock.
            token: tells two runs of one second apart; None draws one.
            run_id: the whole name, where somebody else has given it; its directory may be there
                already, with files of theirs.

        Raises:
            FileExistsError: this run exists already.
        """
        start = time.time_ns() if wall_ns is None else wall_ns
        drawn = layout.run_id(start, secrets.token_hex(3) if token is None else token)
        name = drawn if run_id is None else run_id
        path = Path(root) / name
        (path / layout.EPISODES).mkdir(parents=True)
        run = cls(
            path,
            {
                "meta_version": layout.META_VERSION,
                "run_id": name,
                "state": "running",
                "started_ns": start,
                "ended_ns": None,
                "statuses": list(layout.STATUSES),
                **meta,
            },
        )
        write_json(path / layout.META, run.meta)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run, finished or not.

        Raises:
            RecordError: there is no readable `meta.json`.
        """
        found = Path(path)
        return cls(found, read_json(found / layout.META))

    def episode(self, **facts: Any) -> EpisodeRecorder:
        """Begin the next episode."""
        path = self.path / layout.EPISODES / layout.episode_name(self._begun)
        self._begun += 1
        return EpisodeRecorder(path, facts)

    def episodes(self) -> list[Episode]:
        """Every episode on disk, in order.

        Raises:
            RecordError: an episode file is damaged.
        """
        folder = self.path / layout.EPISODES
        paths = sorted(p for p in folder.iterdir() if layout.EPISODE_PATTERN.match(p.name))
        return [_read_episode(path) for path in paths]

    def finish(
        self,
        summary: Mapping[str, Any],
        *,
        state: str = "finished",
        wall_ns: int | None = None,
    ) -> dict[str, Any]:
        """Write `metrics.json` from the episodes, then the final `meta.json`.

        Args:
            summary: the outcome in the program's own words; JSON values.
            state: `finished`, `interrupted` or `failed`.
            wall_ns: end, nanoseconds since the Unix epoch; None reads the clock.

        Returns:
            The metrics.
        """
        if state not in layout.STATES[1:]:
            raise ValueError(f"state {state!r}: use one of {', '.join(layout.STATES[1:])}")
        episodes = self.episodes()
        facts = [dict(e.facts) for e in episodes]
        metrics = summarise([e.columns for e in episodes], facts)
        write_json(self.path / layout.METRICS, metrics)
        hashed = run_hash(facts)
        if hashed is not None:
            self.meta["randomization_hash"] = hashed
        self.meta.update(
            state=state,
            ended_ns=time.time_ns() if wall_ns is None else wall_ns,
            episodes=facts,
            summary=dict(summary),
        )
        write_json(self.path / layout.META, self.meta)
        return metrics

    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds; computed anew for a run that never finished."""
        path = self.path / layout.METRICS
        if path.exists():
            return read_json(path)
        episodes = self.episodes()
        return summarise([e.columns for e in episodes], [e.facts for e in episodes])


def _read_episode(path: Path) -> Episode:
    arrays = read_arrays(path)
    facts = arrays.pop(layout.FACTS, None)
    return Episode(
        index=int(path.stem),
        facts={} if facts is None else json.loads(str(facts)),
        columns=arrays,
    )
