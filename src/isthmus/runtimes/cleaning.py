"""Build the environment of a program from clean: what is dropped, and why, is one table.

The caller's environment was made for the caller's Python. `PYTHONPATH` and `PYTHONHOME` of one
interpreter break another ("SRE module mismatch"), a conda environment's or a simulator's libraries
replace the right ones silently, and every child inherits it all. So what is known to belong to some
other Python is dropped; everything else, the user's own, passes.

Nothing here looks at the disk: `roots.find_roots` does, and hands in what it found.

Source: docs.python.org/3/using/cmdline.html#environment-variables; Isaac Sim's `python.sh` and
`setup_python_env.sh`; conda's and ROS 2's activation scripts.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "LIST_VARIABLES",
    "ROS_RULES",
    "RULES",
    "Cleaned",
    "Dropped",
    "ForeignRoot",
    "Rule",
    "clean",
    "is_shared",
    "ros_pythonpath",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: variables that are dropped.

    Attributes:
        pattern: their name; a `*` at its end stands for anything.
        why: what they would do to the program, for a person.
        root: True where the value is a folder (or several) whose programs and libraries belong to
            somebody else, so that PATH and LD_LIBRARY_PATH lose what lies inside.
        value: dropped only with this value, which may end in `*` too; "" is any.
    """

    pattern: str
    why: str
    root: bool = False
    value: str = ""


_PATH_OF_ANOTHER = "import folders of the Python this shell was set up for"
_ISAAC = "belongs to an Isaac Sim that this shell was set up for"
_CONDA = "belongs to a conda environment that is active in this shell"
_OUTER = "belongs to the runtime this shell was started in"

RULES: tuple[Rule, ...] = (
    Rule("PYTHONHOME", "another Python's standard library: fatal before any code runs", root=True),
    Rule("PYTHONPATH", _PATH_OF_ANOTHER),
    Rule("OLD_PYTHONPATH", _PATH_OF_ANOTHER),
    Rule("PYTHONPLATLIBDIR", "moves the standard library"),
    Rule("PYTHONUSERBASE", "packages installed for one user, whatever the Python"),
    Rule("PYTHONEXECUTABLE", "makes sys.executable another program"),
    Rule("PYTHONEXE", "names the Python that python.sh is to start"),
    Rule("__PYVENV_LAUNCHER__", "makes another virtual environment the running one"),
    Rule("PYTHONSTARTUP", "code of another Python's interactive sessions"),
    Rule("PYTHONCASEOK", "imports ignore case, so that the wrong file may be taken"),
    Rule("VIRTUAL_ENV", "a virtual environment that is active in this shell", root=True),
    Rule("VIRTUAL_ENV_*", "a virtual environment that is active in this shell"),
    Rule("CONDA_PREFIX", _CONDA, root=True),
    Rule("CONDA_PREFIX_*", _CONDA, root=True),
    Rule("CONDA_*", _CONDA),
    Rule("_CE_*", _CONDA),
    Rule("MAMBA_ROOT_PREFIX", _CONDA, root=True),
    Rule("MAMBA_*", _CONDA),
    Rule("LD_PRELOAD", "libraries forced into every program, such as a simulator's"),
    Rule("LD_AUDIT", "libraries forced into every program, before all others"),
    Rule("BASH_ENV", "a file that every bash script reads first: it sets again what was dropped"),
    # Elsewhere the word is a program's own, as in ENV=production.
    Rule("ENV", "a file that shells read first: it sets again what was dropped", value="/*"),
    Rule("ISAAC_PATH", _ISAAC, root=True),
    Rule("CARB_APP_PATH", _ISAAC, root=True),
    Rule("EXP_PATH", _ISAAC, root=True),
    Rule("RESOURCE_NAME", _ISAAC, value="IsaacSim"),
    Rule("ISTHMUS_RUNTIME", _OUTER),
    Rule("ISTHMUS_FORBID_IMPORT", _OUTER),
)

_ROS = "belongs to a ROS workspace that is sourced in this shell; `ros = true` keeps it"

# Dropped unless they are asked for.
ROS_RULES: tuple[Rule, ...] = (
    Rule("AMENT_PREFIX_PATH", _ROS, root=True),
    Rule("COLCON_PREFIX_PATH", _ROS, root=True),
    Rule("AMENT_*", _ROS),
    Rule("COLCON_*", _ROS),
    Rule("ROS_*", _ROS),
    Rule("RMW_*", _ROS),
)
_ROS_HOME = "/opt/ros"

# Lists of folders that are shared with the user's own: they lose single elements.
LIST_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "CMAKE_PREFIX_PATH", "PKG_CONFIG_PATH")

# Nobody's own: a variable that names one of these (PYTHONHOME=/usr) makes nothing foreign.
_SHARED_FOLDERS = ("/", "/usr", "/usr/local", "/opt", "/home", "/mnt", "/srv", "/var", "/tmp")  # noqa: S108


@dataclass(frozen=True, slots=True)
class ForeignRoot:
    """A folder whose programs and libraries belong to somebody else.

    Attributes:
        path: absolute.
        why: what it is, for a person.
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A variable, or one element of a list variable, that is not passed on.

    Attributes:
        name: of the variable.
        value: all of it, or the element.
        why: what it would do to the program.
    """

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` made of an environment.

    Attributes:
        environ: what passes.
        dropped: what does not, in the order of the environment.
    """

    environ: dict[str, str]
    dropped: tuple[Dropped, ...]


def clean(
    environ: Mapping[str, str],
    *,
    keep: Sequence[str] = (),
    ros: bool = False,
    foreign_roots: Iterable[ForeignRoot] = (),
) -> Cleaned:
    """Copy an environment without what belongs to another Python, simulator or robot.

    Args:
        environ: as `os.environ`.
        keep: variables passed on whole although a rule names them; a `*` at the end of a name
            stands for anything.
        ros: True passes what belongs to ROS.
        foreign_roots: folders found on the disk; those that `environ` names are known already.
    """
    rules = RULES if ros else (*RULES, *ROS_RULES)
    roots = [*_named_roots(environ, rules, keep), *foreign_roots]
    roots += [] if ros else [ForeignRoot(_ROS_HOME, _ROS)]
    passed: dict[str, str] = {}
    dropped: list[Dropped] = []
    for name, value in environ.items():
        rule = None if _is_kept(name, keep) else _rule_for(name, value, rules)
        if rule is not None:
            dropped.append(Dropped(name, value, rule.why))
        elif name in LIST_VARIABLES and not _is_kept(name, keep):
            left, lost = _without(name, value, roots)
            dropped += lost
            if left or not lost:
                passed[name] = left
        else:
            passed[name] = value
    return Cleaned(passed, tuple(dropped))


def ros_pythonpath(environ: Mapping[str, str], minor: str) -> tuple[str, ...]:
    """List the import folders of a sourced ROS workspace that are for one Python.

    Args:
        environ: the caller's, with PYTHONPATH.
        minor: such as "3.10"; folders of another minor version are left out.
    """
    roots = [*_named_roots(environ, ROS_RULES, ()), ForeignRoot(_ROS_HOME, _ROS)]
    inside = (
        element
        for element in environ.get("PYTHONPATH", "").split(os.pathsep)
        if _root_of(element, roots) is not None
    )
    return tuple(
        element for element in inside if set(re.findall(r"python(\d+\.\d+)", element)) <= {minor}
    )


def _rule_for(name: str, value: str, rules: Sequence[Rule]) -> Rule | None:
    for rule in rules:
        if _matches(name, rule.pattern) and _matches(value, rule.value or "*"):
            return rule
    return None


def _is_kept(name: str, keep: Sequence[str]) -> bool:
    return any(_matches(name, pattern) for pattern in keep)


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _named_roots(
    environ: Mapping[str, str], rules: Sequence[Rule], keep: Sequence[str]
) -> Iterator[ForeignRoot]:
    """List the folders that the variables themselves name."""
    for name, value in environ.items():
        rule = None if _is_kept(name, keep) else _rule_for(name, value, rules)
        if rule is None or not rule.root:
            continue
        for part in value.split(os.pathsep):
            path = posixpath.normpath(part)
            if part.startswith("/") and not is_shared(path, environ):
                yield ForeignRoot(path, f"inside {name}={path}: {rule.why}")


def is_shared(path: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a folder holds other people's things too: the system's, or the home itself."""
    home = posixpath.normpath(environ.get("HOME") or "/root")
    return path in _SHARED_FOLDERS or path == home or home.startswith(f"{path}/")


def _without(name: str, value: str, roots: Sequence[ForeignRoot]) -> tuple[str, list[Dropped]]:
    """Take the elements that lie inside a foreign folder out of a list variable."""
    left: list[str] = []
    lost: list[Dropped] = []
    for element in value.split(os.pathsep):
        root = _root_of(element, roots)
        if root is None:
            left.append(element)
        else:
            lost.append(Dropped(name, element, root.why))
    # Without its own elements a list of empty ones would mean the current folder alone.
    return ("" if lost and not any(left) else os.pathsep.join(left)), lost


def _root_of(element: str, roots: Iterable[ForeignRoot]) -> ForeignRoot | None:
    path = posixpath.normpath(element) if element else ""
    return next(
        (root for root in roots if path == root.path or path.startswith(f"{root.path}/")), None
    )
