"""A cheap look at several runtimes at once, before the first of them is built for minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.errors import EnvironmentSetupError, NotBuiltError
from isthmus.runtimes.cleaning import clean
from isthmus.runtimes.locate import locate
from isthmus.runtimes.roots import find_roots
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.versions import is_version_range

__all__ = ["check_there"]


def check_there(
    runtimes: Iterable[RuntimeSettings], state: StateFolder, environ: Mapping[str, str]
) -> None:
    """Refuse runtimes whose Python is named by a path that leads nowhere.

    Nothing is built or downloaded. A range of versions is not looked up: what is missing may be
    downloaded, and what is there is found at once.

    Args:
        runtimes: those that are about to be used.
        state: of their project.
        environ: as `os.environ`.

    Raises:
        EnvironmentSetupError: a path leads nowhere, needs a variable that is not set, or leads to
            something broken; all of them are named.
    """
    problems = []
    for runtime in runtimes:
        if any(map(is_version_range, runtime.python)):
            continue
        keep, ros = runtime.env.keep, runtime.env.ros
        cleaned = clean(environ, keep=keep, ros=ros, foreign_roots=find_roots(environ))
        try:
            locate(
                runtime,
                state,
                cleaned.environ,
                lambda line: None,
                build=False,
                variables=environ,
            )
        except NotBuiltError:
            continue
        except EnvironmentSetupError as error:
            problems.append(str(error))
    if problems:
        raise EnvironmentSetupError("\n".join(problems))
