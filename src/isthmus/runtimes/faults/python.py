"""Known faults: one Python finds what belongs to another."""

# ruff: noqa: E501  what programs printed is quoted as it was

from __future__ import annotations

from .base import CONSEQUENCE, SYMPTOM, Fault

__all__ = ["PYTHON_FAULTS"]

GROUP = "The wrong Python, or parts of another one"

PYTHON_FAULTS = (
    Fault(
        id="foreign-stdlib",
        title="this Python loaded the standard library of another Python",
        patterns=(
            r'(?<!")SRE module mismatch',
            r"module 'sys' has no attribute '_get_cpu_count_config'",
            r"cannot import name '(?P<what>\w+)' from '_\w+' \(\S{1,400}/lib-dynload/",
            r"bad magic number in '(?P<what>\w+)'",
        ),
        causes=(
            "PYTHONPATH names the standard library of another Python version. Python looks there "
            "before it looks into its own, and the compiled half of the library does not fit the "
            "half it finds. Isaac Sim's setup_python_env.sh puts kit/python/lib/python3.X there, "
            "for itself and for every program started after it. The file named just above the "
            "error says whose library it is."
        ),
        fix=(
            "In this shell: `unset PYTHONPATH`; `isthmus doctor` names the file and line that sets "
            "it.\n"
            "For good: start programs with `isthmus run NAME -- python SCRIPT`, whose children get "
            "a clean environment, or `env -u PYTHONPATH PROGRAM` for a single one.\n"
            "`python -E` and `python -I` are no cure: they do not reach the programs it starts."
        ),
        example="""\
Traceback (most recent call last):
  File "/usr/bin/gnome-terminal", line 3, in <module>
    import string
  File "/home/user/isaacsim/kit/python/lib/python3.11/string.py", line 52, in <module>
    import re as _re
  File "/home/user/isaacsim/kit/python/lib/python3.11/re/__init__.py", line 125, in <module>
    from . import _compiler, _parser
  File "/home/user/isaacsim/kit/python/lib/python3.11/re/_compiler.py", line 18, in <module>
    assert _sre.MAGIC == MAGIC, "SRE module mismatch"
AssertionError: SRE module mismatch""",
        seen=("PegasusSimulator/PegasusSimulator#135", "AgibotTech/genie_sim#110"),
        group=GROUP,
    ),
    Fault(
        id="pythonhome",
        title="PYTHONHOME points this Python at the files of another one",
        patterns=(
            r"init_fs_encoding: failed to get the Python codec",
            r"Fatal Python error: Failed to import encodings module",
            r"No module named 'encodings'",
            r"Could not find platform (?:in)?dependent libraries",
            r"Consider setting \$PYTHONHOME",
        ),
        causes=(
            "PYTHONHOME replaces the place where Python looks for its whole standard library. "
            "Nothing fitting is there, so Python dies before any code of yours runs. A virtual "
            "environment does not protect from it."
        ),
        fix=(
            "In this shell: `unset PYTHONHOME`; `isthmus doctor` names the file and line that sets "
            "it.\n"
            "For good: remove that line, or start programs with `isthmus run NAME -- python "
            "SCRIPT`, which drops it."
        ),
        example="""\
Python path configuration:
  PYTHONHOME = '/home/user/isaacsim/kit/python'
  PYTHONPATH = (not set)
  program name = 'python'
Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f81c83c0b80 (most recent call first):
  <no Python frame>""",
        group=GROUP,
    ),
    Fault(
        id="same-minor-shadow",
        title="another Python of the same version shadows parts of this one",
        patterns=(r"failed to parse CPython sys\.version",),
        causes=(
            "PYTHONPATH names the standard library of another build of the same Python version, "
            "such as Isaac Sim's own 3.12 beside conda's 3.12. Most modules load and work, so "
            "nothing says so, until one differs: here `platform` does not know the version text "
            "of this build."
        ),
        fix=(
            "In this shell: `unset PYTHONPATH`.\n"
            "For good: start programs with `isthmus run NAME -- python SCRIPT`; it refuses an "
            "import path that holds another Python's library. `isthmus doctor` shows the folder."
        ),
        example="""\
  File "/home/user/IsaacLab/_isaac_sim/kit/python/lib/python3.12/platform.py", line 1110, in _sys_version
ValueError: failed to parse CPython sys.version: '3.12.14 | packaged by conda-forge | (main, Aug 21 2026, 22:48:28) [GCC 14.4.0]'
[ERROR] Command failed with code 2: ".../envs/env_isaaclab/bin/python -m pip install --upgrade pip\"""",
        seen=("isaac-sim/IsaacLab#7417",),
        group=GROUP,
    ),
    Fault(
        id="foreign-extension",
        title="a compiled package was built for another Python version",
        patterns=(
            r"Original error was: No module named 'numpy\.\w+\._multiarray_umath'",
            r"compiled module files exist, but seem incompatible",
            r"you should not try to import numpy from",
            r"cannot import name '_\w+' from partially initialized module '(?P<what>\w+)' "
            r".{0,600}site-packages",
            r"undefined symbol: (?P<what>_?Py[A-Z_]\w+)",
            r"dynamic module does not define module export function",
            r"SystemError: module \w+ uses unknown slot ID",
        ),
        causes=(
            "The site-packages folder of another Python version is on the import path, by "
            "PYTHONPATH or `sys.path.append`. The Python files in it load; the compiled ones are "
            "for the other version and do not. The file names of the traceback, "
            "`.../python3.X/site-packages`, say for which."
        ),
        fix=(
            "`unset PYTHONPATH`, and take `sys.path` edits out of the script.\n"
            "Install the package in the runtime that runs the script: add it to "
            "`requirements` of `[runtime.NAME]` in isthmus.toml.\n"
            "Two programs that need different Pythons stay two processes: "
            "`isthmus.connect` joins them."
        ),
        example="""\
ImportError: Error importing numpy:

Importing the numpy C-extensions failed. This error can happen for
many reasons, often due to issues with your setup or how NumPy was
installed.

The following compiled module files exist, but seem incompatible
with with either python 'cpython-310' or the platform 'linux':

  * _multiarray_umath.cpython-312-x86_64-linux-gnu.so

Original error was: No module named 'numpy._core._multiarray_umath'""",
        group=GROUP,
    ),
    Fault(
        id="python-sh-as-python",
        title="a shell script was run as if it were Python",
        patterns=(
            r'File "[^"\n]*(?P<what>(?:python|setup_python_env|isaac-sim|isaaclab)\.sh)", line',
        ),
        causes=(
            "`python python.sh` was started. python.sh is itself the interpreter: a shell script "
            "that sets Isaac Sim's environment and starts its Python."
        ),
        fix=(
            "Start `isthmus run --python ISAAC_FOLDER -- python SCRIPT`, or `./python.sh SCRIPT`."
        ),
        example="""\
File "/isaac-sim/python.sh", line 21
  echo "There was an error running python"
SyntaxError: invalid syntax. Perhaps you forgot a comma?""",
        group=GROUP,
    ),
    Fault(
        id="pyenv-version",
        title="pyenv has this Python, and it is not switched on",
        patterns=(r"pyenv: (?P<what>\S{1,80}): command not found",),
        causes=(
            "The `python3.X` found first on PATH is pyenv's launcher. It fails for every version "
            "that `pyenv global` or a .python-version file does not name."
        ),
        fix=(
            'Name the version in isthmus.toml: `python = "3.12"` finds pyenv\'s Pythons '
            "without switching.\n"
            "Or switch it on: `pyenv global 3.12`."
        ),
        version="3.12",
        example="""\
pyenv: python3.12: command not found

The `python3.12' command exists in these Python versions:
  3.12.1""",
        group=GROUP,
    ),
    Fault(
        id="externally-managed",
        title="pip refuses to install into the system's Python",
        patterns=(r"externally-managed-environment",),
        causes=(
            "The Python belongs to the operating system, whose own tools depend on it (PEP 668). "
            "No virtual environment was active, or `pip` is another Python's than expected."
        ),
        fix=(
            "List the package under `requirements` of `[runtime.NAME]`; `isthmus run NAME` makes "
            "the environment.\n"
            "Or make one yourself: `python3 -m venv .venv && .venv/bin/pip install PACKAGE`.\n"
            "`--break-system-packages` does what it says."
        ),
        example="""\
error: externally-managed-environment

× This environment is externally managed
╰─> To install Python packages system-wide, try apt install
    python3-xyz, where xyz is the package you are trying to
    install.""",
        group=GROUP,
    ),
    Fault(
        id="no-toml-reader",
        title="Python 3.10 cannot read TOML by itself",
        patterns=(r"cannot read TOML", r"No module named '(?P<what>tomllib|tomli)'"),
        causes="tomllib came with Python 3.11. Isaac Sim 4.x brings 3.10.",
        fix=(
            "Run `isthmus` in Python 3.11 or newer; the simulator's runtime may stay 3.10.\n"
            "Or `pip install tomli` where isthmus runs. Contracts can be JSON, which needs nothing."
        ),
        example=(
            "ModuleNotFoundError: Python 3.10 cannot read TOML: `pip install tomli`, or use "
            "Python 3.11 or newer"
        ),
        group=GROUP,
    ),
    Fault(
        id="user-site",
        title="packages of the user site take part",
        patterns=(r'File "(?P<what>[^"\n]*/\.local/lib/python3\.\d+/site-packages/)',),
        causes=(
            "The traceback runs through ~/.local/lib/python3.X/site-packages, where `pip install "
            "--user` puts packages. Every Python of that version reads it, Isaac Sim's own too, "
            "and what lies there shadows what the runtime was tested with. python.sh does not "
            "switch it off."
        ),
        fix=(
            "`export PYTHONNOUSERSITE=1`, or start with `isthmus run NAME -- ...`, which sets it.\n"
            "For good: `pip uninstall PACKAGE` outside any environment."
        ),
        example="""\
  File "/home/user/.local/lib/python3.11/site-packages/h5py/__init__.py", line 25, in <module>
    from . import _errors
  File "h5py/_errors.pyx", line 1, in init h5py._errors
ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject""",
        rank=SYMPTOM,
        group=GROUP,
    ),
    Fault(
        id="missing-module",
        title="this Python does not have the module",
        patterns=(r"ModuleNotFoundError: No module named '(?P<what>[\w.]+)'",),
        causes=(
            "The program runs in another interpreter than the one the package was installed in, "
            "or it was installed nowhere. In a project with two runtimes it is usually the former."
        ),
        fix=(
            "See which Python each runtime has: `isthmus doctor`.\n"
            "Start it in the right one: `isthmus run NAME -- python SCRIPT`.\n"
            "Or add the package to `requirements` of that `[runtime.NAME]`, and its name to "
            "`must_import`, so that it is missed before anything starts."
        ),
        example="""\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
ModuleNotFoundError: No module named 'onnxruntime'""",
        rank=CONSEQUENCE,
        group=GROUP,
    ),
)
