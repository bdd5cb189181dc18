"""Who set a variable: which process, which line of which file, which well-known script."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .ancestors import Ancestor, ancestors, setter_of
from .startup_files import Line, find_lines, startup_files

__all__ = ["Origin", "Origins", "Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look; other ones in tests.

    Attributes:
        proc: the process file system.
        system: the system's settings.
        home: the user's folder.
        folder: where the user works.
        pid: the process whose environment it is.
    """

    proc: Path
    system: Path
    home: Path
    folder: Path
    pid: int

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> Places:
        """The real ones."""
        home = environ.get("HOME") or os.path.expanduser("~")
        return cls(Path("/proc"), Path("/etc"), Path(home), Path.cwd(), os.getpid())


@dataclass(frozen=True, slots=True)
class _Script:
    """A program known by what it sets.

    Attributes:
        name: of the variable, a regular expression.
        value: a part of its value, a regular expression.
        what: who sets that.
        line: how it is called in a start-up file, a regular expression.
    """

    name: str
    value: str
    what: str
    line: str


_ACTIVATE = r"(?:^|[\s;&|])(?:source|\.)\s+\S*bin/activate\b"

_SCRIPTS = (
    _Script(
        r"CONDA_|_CE_|MAMBA_",
        "",
        "conda activate",
        r"\b(?:conda|mamba|micromamba)\s+activate\b|conda\.sh\b|shell\.\w+'? '?hook",
    ),
    _Script(
        "",
        r"/kit/(?:python|kernel)\b|pip_prebundle|/exts/omni\.|libcarb\.so",
        "Isaac Sim's setup_python_env.sh",
        r"setup_python_env\.sh|setup_conda_env\.sh",
    ),
    _Script(
        r"ISAAC_PATH|CARB_APP_PATH|EXP_PATH|RESOURCE_NAME",
        "",
        "Isaac Sim's setup_conda_env.sh",
        r"setup_python_env\.sh|setup_conda_env\.sh",
    ),
    _Script(
        "",
        r"/opt/ros/\w+",
        "ROS's setup script",
        r"(?:source|\.)\s+\S*/opt/ros/\S+/(?:local_)?setup\.(?:ba|z)?sh",
    ),
    _Script(
        r"AMENT_|COLCON_|ROS_|RMW_",
        "",
        "a ROS setup script",
        r"(?:source|\.)\s+\S*/(?:local_)?setup\.(?:ba|z)?sh",
    ),
    _Script(r"VIRTUAL_ENV", "", "a virtual environment's activate script", _ACTIVATE),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a variable.

    Attributes:
        text: for a person.
        line: of a start-up file, if one was found that does it.
    """

    text: str
    line: Line | None = None


class Origins:
    """Answers for one environment; files and processes are looked at when first asked for.

    Args:
        environ: as `os.environ`.
        places: where to look.
    """

    def __init__(self, environ: Mapping[str, str], places: Places) -> None:
        self._environ = environ
        self._places = places
        self._parents: list[Ancestor] | None = None
        self._files: list[Path] | None = None

    def of(self, name: str, part: str = "") -> Origin:
        """Say who set a variable.

        Args:
            name: of the variable.
            part: the elements of its value that matter; "" is all of it.
        """
        value = self._environ.get(name, "")
        script = _script_for(name, part or value)
        lines = self._lines(name, part or value, script)
        process = self._process(name, value)
        if lines:
            line = lines[0]
            place = _short(line.file, self._places.home)
            return Origin(f"set by {place}:{line.number}: {_cut(line.text)}", line)
        return Origin(f"set by {script.what}, {process}" if script else f"set {process}")

    def _lines(self, name: str, value: str, script: _Script | None) -> list[Line]:
        """Find the lines that set it, best first: of several the one with the value as it is."""
        if self._files is None:
            places = self._places
            self._files = list(
                dict.fromkeys(
                    startup_files(self._environ, places.home, places.system, places.folder)
                )
            )
        found = find_lines(self._files, name, script.line if script else "")
        home = str(self._places.home)
        elements = [each for each in value.split(os.pathsep) if each]

        def says_it(line: Line) -> bool:
            text = re.sub(r"\$HOME\b|\$\{HOME\}|(?<![\w/])~(?=/)", lambda _: home, line.text)
            return any(element in text for element in elements)

        exact = [line for line in found if says_it(line)]
        through = [line for line in found if script and re.search(script.line, line.text)]
        # A list such as PATH is set in many places; one that does not name the element is no clue.
        return exact or through or (found if name not in ("PATH", "LD_LIBRARY_PATH") else [])

    def _process(self, name: str, value: str) -> str:
        if self._parents is None:
            self._parents = ancestors(self._places.proc, self._places.pid)
        setter = setter_of(name, value, self._parents)
        if setter is not None:
            return f"in {setter}"
        if not self._parents:
            return "before this process was started"
        last = self._parents[-1]
        readable = [each for each in self._parents if each.environ is not None]
        if len(readable) == len(self._parents):
            return f"before {last} was started: by the login, the container or the service"
        first = next(each for each in self._parents if each.environ is None)
        return f"above {first}, whose environment is not ours to read"


def _script_for(name: str, value: str) -> _Script | None:
    return next(
        (
            each
            for each in _SCRIPTS
            if re.match(each.name, name) and re.search(each.value, value) is not None
        ),
        None,
    )


def _short(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _cut(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
