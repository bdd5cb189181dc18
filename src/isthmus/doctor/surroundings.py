"""Where a runtime's interpreter is and what its programs get, without making anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.runtimes import launch
from isthmus.runtimes.cleaning import clean
from isthmus.runtimes.locate import Located, locate
from isthmus.runtimes.programs import package_folder, place_package, write_programs
from isthmus.runtimes.roots import find_foreign_libraries, find_roots
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

__all__ = ["surroundings"]


def surroundings(
    runtime: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> tuple[Located, dict[str, str]]:
    """Find a runtime's interpreter and put together the environment of its programs.

    Args:
        runtime: its settings.
        state: of its project.
        environ: the caller's.
        say: told what is out of date.

    Raises:
        EnvironmentSetupError: it is not there, or not built.
    """
    options = {"keep": runtime.env.keep, "ros": runtime.env.ros}
    roots = find_roots(environ)
    bare = clean(environ, **options, foreign_roots=roots).environ  # type: ignore[arg-type]
    located = locate(runtime, state, bare, say, build=False)
    libraries = find_foreign_libraries(environ, located.python)
    cleaned = clean(environ, **options, foreign_roots=(*roots, *libraries))  # type: ignore[arg-type]
    place = launch._Place(
        runtime=runtime,
        located=located,
        environ=cleaned.environ,
        dropped=cleaned.dropped,
        programs=write_programs(state, runtime.name, located.python),
        package=place_package(state, package_folder()),
    )
    return located, {**launch._environ_of(place, environ), **runtime.env.set}
