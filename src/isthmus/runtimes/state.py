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

import os
from collections.abc import Mapping
from pathlib import Path

from isthmus.errors import EnvironmentSetupError

__all__ = ["StateFolder", "write_whole"]

_IGNORE = "*\n"


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

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> StateFolder:
        """Name the one for what belongs to no project, in the user's cache.

        Args:
            environ: XDG_CACHE_HOME and HOME are read; what is no absolute path there, as in a
                container that sets it to nothing, would be another folder in every folder.

        Raises:
            EnvironmentSetupError: there is no such place.
        """
        cache = environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(cache):
            cache = os.path.join(_home(environ), ".cache")
        return cls(Path(cache) / "isthmus")

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
        # An empty one is what a full disk left there once.
        if not _size(ignore):
            write_whole(ignore, _IGNORE)
        return folder


def write_whole(file: Path, text: str) -> None:
    """Write a file beside its place and move it there: whoever reads sees all of it or none."""
    beside = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except FileNotFoundError:
        return 0


def _home(environ: Mapping[str, str]) -> str:
    places = (environ.get("HOME", ""), _registered_home())
    home = next((each for each in places if os.path.isabs(each) and each != "/"), "")
    if not home:
        raise EnvironmentSetupError(
            "expected a home folder to keep a cache in, but HOME is "
            f"{environ.get('HOME', 'not set')!r} and the system knows none for this user; "
            "set XDG_CACHE_HOME to an absolute path"
        )
    return home


def _registered_home() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user without a name, as in a container
        return ""
