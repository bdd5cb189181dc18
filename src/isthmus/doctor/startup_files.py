"""Find the line of a start-up file that sets a variable, or sources a script known to set it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Line", "find_lines", "startup_files"]

_OF_HOME = (
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_aliases",
    ".profile",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".config/fish/config.fish",
    ".pam_environment",
    ".config/environment.d/*.conf",
)
_OF_SYSTEM = (
    "environment",
    "profile",
    "profile.d/*.sh",
    "bash.bashrc",
    "bashrc",
    "zsh/zshenv",
    "zsh/zprofile",
    "zsh/zshrc",
    "environment.d/*.conf",
    "security/pam_env.conf",
)
# Read by direnv and editors for whoever works in the folder.
_OF_FOLDER = (".envrc", ".env")

_MAX_FILE = 1 << 20  # bytes
_COMMENT = re.compile(r"\s*#")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a start-up file.

    Attributes:
        file: where.
        number: from 1.
        text: what it says.
    """

    file: Path
    number: int
    text: str


def startup_files(
    environ: Mapping[str, str], home: Path, system: Path, folder: Path
) -> Iterator[Path]:
    """List the files that shells and logins read, the user's before the system's.

    Args:
        environ: BASH_ENV, ENV and ZDOTDIR name further ones.
        home: the user's folder.
        system: `/etc`.
        folder: where the user works.
    """
    named = [Path(environ[name]) for name in ("BASH_ENV", "ENV") if environ.get(name)]
    homes = dict.fromkeys([home, Path(environ.get("ZDOTDIR") or home)])
    yield from (path for path in named if path.is_file())
    for place in (folder, *folder.parents):
        yield from (place / name for name in _OF_FOLDER if (place / name).is_file())
    for place, patterns in [*((each, _OF_HOME) for each in homes), (system, _OF_SYSTEM)]:
        for pattern in patterns:
            yield from (path for path in sorted(place.glob(pattern)) if path.is_file())


def find_lines(files: list[Path], name: str, sources: str = "") -> list[Line]:
    """Find the lines that set a variable.

    Args:
        files: where to look.
        name: of the variable.
        sources: a regular expression for a line that sets it through something else, such as
            `conda activate`; "" for none.

    Returns:
        Lines that name the variable first.
    """
    quoted = re.escape(name)
    # A POSIX shell's, fish's and pam_env's ways to say it.
    sets = re.compile(
        rf"(?:^|[\s;&|(]){quoted}\+?=|\bset\b[^#\n]*\s{quoted}\s|^{quoted}\s+DEFAULT="
    )
    through = re.compile(sources) if sources else None
    direct: list[Line] = []
    indirect: list[Line] = []
    for file in files:
        for number, text in enumerate(_lines(file), 1):
            if _COMMENT.match(text):
                continue
            if sets.search(text):
                direct.append(Line(file, number, text.strip()))
            elif through is not None and through.search(text):
                indirect.append(Line(file, number, text.strip()))
    return direct + indirect


def _lines(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_MAX_FILE).splitlines()
    except OSError:  # of another user: it cannot be shown, and is not ours to mend
        return []
