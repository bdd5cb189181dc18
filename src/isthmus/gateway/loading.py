"""Which files may become a policy while the gateway serves, and how one is made ready.

Whoever may name a file decides what moves the robot, so a name is taken only from a program on this
machine, and only of a file inside the folder that the operator named, where it really lies: every
symbolic link is followed first. What is read beside it, its manifest, its twin and its statistics,
must lie there as well. All of it may take seconds, so it is done beside the engine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from ..errors import Error, PolicyLoadError
from ..policy.base import Policy
from ..policy.manifest import manifest_path
from ..policy.manifest_reader import read_manifest
from ..protocol import JsonCodec
from .batch import measure

__all__ = ["Loaded", "Loader", "Loads"]

LONGEST_S = 60.0
"""Seconds that one load may take before others are turned away instead of waiting for it."""

MOST_WAITING = 16
"""Loads that may be under way at a time, with the one that runs."""


@dataclass(frozen=True)
class Loaded:
    """A policy that is warm.

    Attributes:
        policy: what was loaded.
        infer_ns: what one of its inferences takes.
    """

    policy: Policy
    infer_ns: int


class Loads:
    """Which loads are under way: one runs, a bounded number may wait, for a bounded time.

    `busy` and `take` are called by the engine's thread, `begun` by the one that loads.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._running: tuple[str, float] | None = None
        self._taken = 0
        self._ended = 0

    def busy(self) -> str:
        """Why no other load can be taken now; "" if one can."""
        running, waiting = self._running, self._taken - self._ended
        if running is not None and self._now() - running[1] >= LONGEST_S:
            path, began = running
            return f"busy: {path!r:.200} has been loading for {self._now() - began:.0f} s"
        if waiting >= MOST_WAITING:
            return f"busy: {waiting} policies are being loaded or wait for that; ask again later"
        return ""

    def take(self) -> None:
        """One more waits."""
        self._taken += 1

    @contextmanager
    def begun(self, path: str) -> Iterator[None]:
        """It is loaded now."""
        self._running = path, self._now()
        try:
            yield
        finally:
            self._running = None
            self._ended += 1


class Loader:
    """Loads policies that clients name."""

    def __init__(
        self, policy_dir: Path | None, allow_any: bool, load: Callable[[Path], Policy]
    ) -> None:
        """Remember what is allowed.

        Args:
            policy_dir: the folder whose files may be loaded; None = none.
            allow_any: every file may be.
            load: makes a policy of a file.
        """
        self._folder = None if policy_dir is None else Path(os.path.abspath(policy_dir))
        self._allow_any = allow_any
        self._load = load

    @property
    def allowed(self) -> str:
        """What may be loaded, in words for people."""
        return "any file" if self._allow_any else f"files in {self._folder}"

    def fetch(self, path: str, *, local: bool) -> Loaded:
        """Load a policy and warm it up.

        Args:
            path: as the client wrote it; a relative one begins in the folder, or where the
                gateway was started.
            local: True if the client runs on this machine.

        Raises:
            Error: it may not be loaded, or cannot be.
        """
        if not local:
            raise PolicyLoadError(
                "expected load_policy from a program on the gateway's own machine (a Unix socket, "
                "or a loopback address), got it from another; ask for it there"
            )
        file = self._find(path)
        try:
            policy = self._load(file)
        except (Error, KeyboardInterrupt):
            raise
        except BaseException as exc:
            raise PolicyLoadError(f"{path!r:.200}: {type(exc).__name__}: {exc}") from exc
        try:
            JsonCodec().bind(policy.contract, 1, asks=False)
            return Loaded(policy, measure(policy))
        except BaseException:
            policy.close()
            raise

    def _find(self, path: str) -> Path:
        """Where the file really is.

        Raises:
            PolicyLoadError: outside of what is allowed, or no regular file.
        """
        try:
            places = [self._place(Path(os.path.realpath(each))) for each in self._readings(path)]
            inside = [place for place in places if place is not None]
            if not inside:
                raise PolicyLoadError(
                    f"expected a file in {self._folder}, got {path!r:.200}, which is not in it "
                    "once every symbolic link is followed; copy the model there"
                )
            found = next((place for place in inside if place.exists()), inside[0])
            regular = stat.S_ISREG(found.stat().st_mode)
        except (OSError, ValueError) as exc:  # ValueError: a NUL in it
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            raise PolicyLoadError(f"{path!r:.200} cannot be read: {reason}") from exc
        if not regular:
            raise PolicyLoadError(f"{path!r:.200} is no regular file; name a model's file")
        self._check_beside(found)
        return found

    def _check_beside(self, model: Path) -> None:
        """What is read with a model must lie where models may lie, too."""
        beside = {manifest_path(model), model.with_name(f"{model.stem}.vecnormalize.pkl")}
        if manifest_path(model).exists() and self._inside(manifest_path(model)):
            try:
                manifest = read_manifest(model)
            except PolicyLoadError:
                return  # whoever loads it says why; nothing else is read then
            names = {manifest.model} | ({manifest.mlp.model} if manifest.mlp else set())
            beside |= {model.with_name(name) for name in names}
        for path in sorted(beside):
            if not self._inside(path):
                raise PolicyLoadError(
                    f"{path.name} is read with {model.name}, and is not in {self._folder} once "
                    "every symbolic link is followed; copy it there"
                )

    def _inside(self, path: Path) -> bool:
        return self._place(Path(os.path.realpath(path))) is not None

    def _readings(self, path: str) -> list[str]:
        """What a path may mean: a relative one begins in the folder, or where we were started."""
        if not path:
            raise PolicyLoadError("expected the path of a model's file, got an empty text")
        began = [] if self._folder is None else [os.path.join(self._folder, path)]
        return [*began, os.path.abspath(path)]

    def _place(self, real: Path) -> Path | None:
        if self._allow_any:
            return real
        if self._folder is None:
            return None
        return real if real.is_relative_to(os.path.realpath(self._folder)) else None
