"""The faults that are seen by looking, not in a text; the others are rows of `faults.FAULTS`."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.runtimes.faults import FAULTS

from .report import FAULT, NOTE, Finding

__all__ = ["KINDS", "Kind", "finding"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a finding says, whatever was seen.

    Attributes:
        title: on one line.
        breaks: what goes wrong because of it.
        fix: one step a line.
        level: "fault" or "note".
        mends: True if `--fix` does it.
    """

    title: str
    breaks: str
    fix: str
    level: str = FAULT
    mends: bool = False


_UNSEEN = "Programs started by `isthmus run` and `isthmus up` do not see it."
_USUAL = "The usual source is Isaac Sim's setup_python_env.sh."
_START = "Start programs with `isthmus run NAME -- python SCRIPT`."

KINDS: dict[str, Kind] = {
    **{row.id: Kind(row.title, row.causes, row.fix) for row in FAULTS},
    # These are seen before anything fails, and said in other words than a traceback's.
    "foreign-stdlib": Kind(
        "PYTHONPATH holds the standard library of another Python",
        'Python programs started in this shell, and all they start, end in "SRE module mismatch" '
        f"or its like. {_USUAL} {_UNSEEN}",
        f"`unset PYTHONPATH`.\n{_START}",
    ),
    "pythonhome": Kind(
        "PYTHONHOME points Python at the files of another one",
        'Every other Python started in this shell dies before any code runs ("No module named '
        f"'encodings'\"), in a virtual environment too. {_UNSEEN}",
        f"`unset PYTHONHOME`.\n{_START}",
    ),
    "same-minor-shadow": Kind(
        "PYTHONPATH holds another build of the same Python version",
        "Modules of that build load in place of this one's, and nothing says so, until one differs "
        f'("failed to parse CPython sys.version"). {_USUAL} {_UNSEEN}',
        f"`unset PYTHONPATH`.\n{_START}",
    ),
    "foreign-extension": Kind(
        "PYTHONPATH holds packages of another Python version",
        'Their Python files load and their compiled parts do not: "No module named '
        f"'numpy.core._multiarray_umath'\", undefined symbols. {_UNSEEN}",
        f"`unset PYTHONPATH`.\n{_START}",
    ),
    "user-site": Kind(
        "packages of the user site would be loaded in place of a runtime's own",
        "Every Python of that version reads that folder first, Isaac Sim's own too, which "
        f"python.sh does not switch off. {_UNSEEN}",
        "`export PYTHONNOUSERSITE=1`.\nFor good: `pip uninstall` them outside any environment.",
    ),
    "conda-active": Kind(
        "a conda environment is active that no runtime asks for",
        "Programs started in this shell find conda's python, libraries and variables first: "
        "python.sh warns, and mixes its libraries with conda's (GLIBCXX, undefined symbols). "
        f"{_UNSEEN}",
        "`conda deactivate`, until no environment is named in the prompt.\n"
        "For good: `conda config --set auto_activate_base false`.\n"
        'If a runtime is meant to be this environment: `python = "{value}"` in its '
        "`[runtime.NAME]`.",
    ),
    "ros-sourced": Kind(
        "a ROS workspace is sourced in this shell, and no runtime asks for it",
        "Its packages are on the import path of every Python started here, of any version: they "
        f"load in half, or shadow others. {_UNSEEN}",
        "Start a new shell without sourcing it.\n"
        "If a runtime needs ROS: `ros = true` in its `[runtime.NAME.env]`.",
    ),
    "python-dies": Kind(
        "Python does not start with this shell's variables",
        "Any Python program started here fails, before its own first line.",
        "`unset PYTHONPATH PYTHONHOME`, and see `env | grep -i python`.",
    ),
    "runtime-missing": Kind(
        "the interpreter of a runtime is not there",
        "Nothing can be started in this runtime.",
        "Correct `python` in its `[runtime.NAME]`, or install what it names.",
    ),
    "runtime-broken": Kind(
        "the interpreter of a runtime does not work",
        "Nothing can be started in this runtime.",
        "Make its environment again, or correct `python` in its `[runtime.NAME]`.",
    ),
    "state-unwritable": Kind(
        "the folder in which isthmus keeps what it makes cannot be written",
        "Nothing can be started in any runtime.",
        "Make `.isthmus` beside isthmus.toml writable, or a link to a folder that is.",
    ),
    "environment-not-built": Kind(
        "the environment of a runtime is not built yet",
        "Nothing: the first start builds it, which takes a while and needs the package index.",
        "`isthmus doctor --fix` builds it now, any `isthmus run NAME -- ...` when it starts.",
        level=NOTE,
        mends=True,
    ),
    "environment-stale": Kind(
        "the environment of a runtime is not what its lock says",
        "The next start in it brings it up to date first, which takes a while.",
        "`isthmus doctor --fix`, or any `isthmus run NAME -- ...`.",
        mends=True,
    ),
    "lock-stale": Kind(
        "the lock of a runtime was made for other requirements",
        "The next start in it finds the exact versions anew, which needs the package index.",
        "`isthmus doctor --fix`, or any `isthmus run NAME -- ...`; commit the lock.",
        mends=True,
    ),
    "requires-python": Kind(
        "the interpreter of a runtime has a version it does not allow",
        "Nothing is started in this runtime.",
        "Name another Python in `python` of its `[runtime.NAME]`, or widen `requires-python`.",
    ),
    "must-import": Kind(
        "a module that a runtime needs cannot be imported",
        "Nothing is started in this runtime.",
        "Install it there: add it to `requirements` of its `[runtime.NAME]`; or correct "
        "`must_import`.",
    ),
    "foreign-path": Kind(
        "the import path of a runtime holds what belongs to another Python",
        "Nothing is started in this runtime: it would load in half, or shadow what is right.",
        "Take the folder out of `pythonpath`, or remove what puts it there (a .pth file in its "
        "site-packages, `[runtime.NAME.env]`).",
    ),
    "isthmus-unusable": Kind(
        "isthmus does not work in a runtime",
        "Programs of this runtime cannot connect.",
        "See what it said above; `isthmus run NAME -- python -c 'import isthmus.contract'` "
        "repeats it.",
    ),
    "inquiry-failed": Kind(
        "which packages fit a runtime's numpy could not be found out",
        "Nothing by itself: `isthmus doctor` knows less than it could.",
        "`pip check` in that environment says what its packages ask for.",
        level=NOTE,
    ),
    "no-numpy": Kind(
        "a runtime has no numpy",
        "Its programs cannot connect; those that do not use isthmus do not mind.",
        "Add numpy to `requirements` of its `[runtime.NAME]`, or install it there.",
        level=NOTE,
    ),
    "no-shared-memory": Kind(
        "a runtime cannot use shared memory",
        "Its links stay on sockets: slower, never wrong.",
        "Use a newer build of this Python, or one whose os has memfd_create and eventfd; in a "
        "sandbox, allow the two system calls.",
    ),
    "memfd-by-syscall": Kind(
        "this Python has no os.memfd_create",
        "Nothing: isthmus makes shared memory by the system call.",
        "Nothing has to be done.",
        level=NOTE,
    ),
    "forbidden-present": Kind(
        "a module that a runtime must not import is installed in it",
        "Nothing: the guard raises ForbiddenImportError where it is imported.",
        "To be quite sure, `pip uninstall` it there.",
        level=NOTE,
    ),
    "contract-unreadable": Kind(
        "the contract cannot be read",
        "Neither side can be sure of talking about the same thing.",
        "Correct `[contract]` in isthmus.toml, or write the contract: `isthmus contract from-gym`, "
        "`isthmus contract from-urdf`. A contract in JSON needs no TOML reader.",
    ),
    "model-unreadable": Kind(
        "the manifest of the model cannot be read",
        "The gateway refuses to serve the model.",
        "Export the model again, which writes its manifest beside it; or correct `model` in "
        "`[contract]`.",
    ),
    "no-loopback": Kind(
        "no TCP port of 127.0.0.1 can be listened on",
        "`tcp://` addresses do not work.",
        "Bring the loopback interface up (`ip link set lo up`), or use `unix:` addresses.",
    ),
    "no-unix": Kind(
        "no Unix socket can be made where a run's sockets go",
        "`unix:` and `shm:` addresses of `isthmus up` do not work.",
        "Make the folder writable for you, or point XDG_RUNTIME_DIR at a short one that is.",
    ),
    "few-files": Kind(
        "the limit of open files is low",
        'A gateway takes four descriptors a link, Kit several hundred: "Too many open files".',
        "`ulimit -n 4096` in the shell that starts it.",
    ),
}


def finding(
    kind: str,
    where: str,
    evidence: tuple[str, ...] | list[str],
    *,
    fix: tuple[str, ...] | list[str] = (),
    value: str = "",
) -> Finding:
    """Make a finding of a kind.

    Args:
        kind: a key of `KINDS`.
        where: "shell", "machine", "contract" or "runtime NAME".
        evidence: what was seen.
        fix: steps that fit this case, before those of the kind.
        value: stands for `{value}` in the kind's steps.
    """
    row = KINDS[kind]
    title, text = row.title, row.fix.replace("{value}", value)
    if where.startswith("runtime "):
        name = where.removeprefix("runtime ")
        title = title.replace(" of a runtime", "")
        text = text.replace("[runtime.NAME", f"[runtime.{name}").replace("run NAME", f"run {name}")
    steps = text.splitlines()
    return Finding(
        id=kind,
        level=row.level,
        where=where,
        title=title,
        evidence=tuple(evidence),
        breaks=row.breaks,
        fix=tuple(dict.fromkeys([*fix, *steps])),
        mends=row.mends,
    )
