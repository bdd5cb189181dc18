"""Where a project keeps what isthmus makes for it: a folder `.isthmus` beside `isthmus.toml`.

::

    .isthmus/
        .gitignore        holds "*": nothing here is anyone's source
        envs/NAME/        environments made on demand
        bin/NAME/         `python`, `python3` and `isthmus` of a runtime, for PATH
        path/*/           a link to our package and nothing else, for PYTHONPATH
        probes/           what interpreters answered, by their identity
        up/RUN_ID.json    a run that is up, and RUN_ID.lock, held by its supervisor

All of it can be removed at any time; it is made again.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["StateFolder"]


class StateFolder:
    """The state folder of one project; subfolders are made when first asked for.

    Args:
        root: the `.isthmus` folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def beside(cls, folder: Path) -> StateFolder:
        """Name the one of the project in `folder`."""
        return cls(folder / ".isthmus")

    @property
    def environments(self) -> Path:
        """Environments made on demand, one folder each."""
        return self._made("envs")

    @property
    def probes(self) -> Path:
        """What interpreters answered."""
        return self._made("probes")

    @property
    def up(self) -> Path:
        """Runs that are up."""
        return self._made("up")

    @property
    def path(self) -> Path:
        """The folder that goes on a child's PYTHONPATH."""
        return self._made("path")

    def programs(self, name: str) -> Path:
        """The folder that goes first on PATH in runtime `name`."""
        return self._made("bin", name)

    def _made(self, *parts: str) -> Path:
        folder = self.root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return folder
