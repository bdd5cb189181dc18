"""A folder laid out as an installed Isaac Sim, around a Python that is already on this machine.

It stands for the *layout*: where `python.sh` is, what it exports, that its Python is another one
than ours and brings its whole standard library along on PYTHONPATH, that a folder with a space in
its name is too much for it, and that it turns every failure into status 1. It does not stand for
Kit: nothing is simulated, and its `omni`, `carb`, `pxr` and `isaacsim` hold no more than what tests
import. The scripts are our own, written after what the ones of 4.5, 5.x and 6.x do.

    isaac = build_fake_isaac(tmp_path / "isaac-sim", base_python)
    subprocess.run([isaac.python_sh, "-c", "import isaacsim"])
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from isthmus.runtimes import built_environments

ROOT = Path(__file__).resolve().parent.parent.parent

_PYTHON_SH = """\
#!/bin/bash
# Stands for Isaac Sim's script of this name.
set -e

error_exit() {{
    echo "There was an error running python"
    exit 1
}}

here="$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)"
export CARB_APP_PATH=$here/kit
export ISAAC_PATH=$here
export EXP_PATH=$here/apps
source "$here/setup_python_env.sh"

python_exe=${{PYTHONEXE:-"$here/kit/python/bin/python3"}}

if [[ -n "$CONDA_PREFIX" ]]; then
    echo "Warning: running in conda env, please deactivate before executing this script"
fi

export RESOURCE_NAME="IsaacSim"
export LD_PRELOAD="{preload}"
$python_exe "$@" $args || error_exit
"""

# Since 6.0 what was preloaded before stays.
_PRELOADS = {
    "4.5": "$here/kit/libcarb.so",
    "5.1": "$here/kit/libcarb.so",
    "6.0": "$here/kit/libcarb.so${LD_PRELOAD:+:$LD_PRELOAD}",
}

_PYTHON_FOLDERS = (
    "kit/python/lib/python{minor}",
    "kit/python/lib/python{minor}/site-packages",
    "python_packages",
    "exts/isaacsim.simulation_app",
    "exts/isaacsim.core.api",
    "extsDeprecated/omni.isaac.kit",
    "kit/kernel/py",
    "kit/plugins/bindings-python",
    "exts/omni.isaac.core_archive/pip_prebundle",
    "exts/omni.isaac.ml_archive/pip_prebundle",
    "exts/omni.pip.compute/pip_prebundle",
)
_LIBRARY_FOLDERS = (".", "exts/omni.usd.schema.isaac/plugins/lib", "kit", "kit/kernel/plugins")

# Below the root: what each module says. `isaacsim` is one package over several folders, as there.
_MODULES: Mapping[str, str] = {
    "exts/isaacsim.simulation_app/isaacsim/__init__.py": """
        __path__ = __import__("pkgutil").extend_path(__path__, __name__)
        from isaacsim.simulation_app import SimulationApp
        """,
    "exts/isaacsim.simulation_app/isaacsim/simulation_app/__init__.py": '''
        class SimulationApp:
            """Starts nothing."""

            def __init__(self, launch_config=None):
                self.config = dict(launch_config or {})
                self._running = True

            def is_running(self):
                return self._running

            def update(self):
                pass

            def close(self):
                self._running = False
        ''',
    "kit/kernel/py/omni/__init__.py": "",
    "kit/kernel/py/omni/kit/__init__.py": "",
    "kit/kernel/py/carb/__init__.py": "",
    "kit/plugins/bindings-python/pxr/__init__.py": "",
    "exts/omni.isaac.ml_archive/pip_prebundle/prebundled.py": "WHERE = __file__\n",
}


@dataclass(frozen=True)
class FakeIsaac:
    """One fake installation.

    Attributes:
        root: what a user's ISAAC_SIM_ROOT names.
        home: the folder of `python.sh`; other than `root` in a source build only.
        python: the bundled interpreter.
        minor: its version, such as "3.11".
        pythonpath: the folders that `setup_python_env.sh` puts on PYTHONPATH, in order.
    """

    root: Path
    home: Path
    python: Path
    minor: str
    pythonpath: tuple[Path, ...]

    @property
    def python_sh(self) -> Path:
        """The script that users start."""
        return self.home / "python.sh"

    @property
    def stdlib(self) -> Path:
        """The bundled interpreter's standard library."""
        return self.home / "kit" / "python" / "lib" / f"python{self.minor}"

    def polluted(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What a shell has after `source setup_python_env.sh`: the cause of most of the trouble."""
        return {
            **environ,
            "PYTHONPATH": os.pathsep.join(map(str, self.pythonpath)),
            "LD_LIBRARY_PATH": os.pathsep.join(str(self.home / name) for name in _LIBRARY_FOLDERS),
            "CARB_APP_PATH": str(self.home / "kit"),
            "ISAAC_PATH": str(self.home),
            "EXP_PATH": str(self.home / "apps"),
        }

    def add_module(self, path: str, text: str) -> Path:
        """Add a module below the root, such as "exts/isaacsim.core.api/isaacsim/core/api.py"."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file


def build_fake_isaac(
    root: Path, base: Path | None = None, *, layout: str = "binary", version: str = "5.1"
) -> FakeIsaac:
    """Lay a fake Isaac Sim out in `root`.

    Args:
        root: made; must not hold one yet.
        base: any executable of the Python that becomes the bundled one, a virtual environment's
            too; None is another than the running one if there is one.
        layout: "binary" has `python.sh` in `root`, "source" in `_build/linux-x86_64/release`.
        version: "4.5", "5.1" or "6.0": which generation of `python.sh`.
    """
    home = root if layout == "binary" else root / "_build" / "linux-x86_64" / "release"
    facts = _facts_of(another_python() if base is None else base)
    python = _bundle(home / "kit" / "python", facts)
    minor = facts["minor"]
    folders = [home / name.format(minor=minor) for name in _PYTHON_FOLDERS]
    isaac = FakeIsaac(root, home, python, minor, tuple(folders))
    for folder in [*folders, *(home / name for name in _LIBRARY_FOLDERS), home / "apps"]:
        folder.mkdir(parents=True, exist_ok=True)
    # Any library that is surely there; one that is missing makes the loader complain each time.
    (home / "kit" / "libcarb.so").symlink_to(facts["library"])
    for path, text in _MODULES.items():
        isaac.add_module(path, text)
    isaac.python_sh.write_text(_PYTHON_SH.format(preload=_PRELOADS[version]), encoding="utf-8")
    isaac.python_sh.chmod(0o755)
    (home / "setup_python_env.sh").write_text(_setup_text(minor, version), encoding="utf-8")
    return isaac


def another_python() -> Path:
    """Choose the bundled Python: one of another version than the running one, if one was built."""
    built = built_environments(ROOT / ".envs").values()
    running = "{}.{}".format(*sys.version_info[:2])
    others = sorted(each.minor for each in built if each.minor != running)
    chosen = "3.11" if "3.11" in others else others[0] if others else running
    return next((each.python for each in built if each.minor == chosen), Path(sys.executable))


@pytest.fixture
def make_fake_isaac(tmp_path: Path) -> Callable[..., FakeIsaac]:
    """Build fake Isaac Sims, each in a folder of its own; arguments as of `build_fake_isaac`."""
    built: list[FakeIsaac] = []

    def make(base: Path | None = None, **options: str) -> FakeIsaac:
        root = tmp_path / f"isaac-sim-{len(built)}"
        built.append(build_fake_isaac(root, base, **options))
        return built[-1]

    return make


@pytest.fixture
def fake_isaac(make_fake_isaac: Callable[..., FakeIsaac]) -> FakeIsaac:
    """One fake Isaac Sim 5.1, around another Python than the running one."""
    return make_fake_isaac()


def _setup_text(minor: str, version: str) -> str:
    """Write the script that exports the paths: one line each, appended to what is there.

    That of 4.5 names a folder three levels up besides, by what looks like an oversight.
    """

    def appended(name: str, folders: tuple[str, ...]) -> str:
        below = ":".join("$here/" + folder.format(minor=minor) for folder in folders)
        above = f"$here/../../../${name}:" if version == "4.5" else ""
        return f"export {name}=${name}:{above}{below}\n"

    return (
        '#!/bin/bash\nhere="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"\n'
        + appended("PYTHONPATH", _PYTHON_FOLDERS)
        + appended("LD_LIBRARY_PATH", _LIBRARY_FOLDERS)
    )


def _bundle(prefix: Path, facts: Mapping[str, str]) -> Path:
    """Make `prefix` a Python of its own that shares another's files, all but its site-packages.

    The executable is the same file under a second name, not a symbolic link, which Python would
    follow back to where it came from; so `sys.prefix` is this folder, as in the real thing.
    """
    python = prefix / "bin" / f"python{facts['minor']}"
    python.parent.mkdir(parents=True)
    base = Path(facts["executable"])
    try:
        os.link(base, python)
    except OSError:  # another file system, or not ours to link
        python.write_bytes(base.read_bytes())
        python.chmod(0o755)
    (python.parent / "python3").symlink_to(python.name)
    stdlib = prefix / "lib" / f"python{facts['minor']}"
    stdlib.mkdir(parents=True)
    for entry in Path(facts["stdlib"]).iterdir():
        if entry.name not in ("site-packages", "dist-packages", "__pycache__"):
            (stdlib / entry.name).symlink_to(entry)
    for library in Path(facts["libdir"]).glob("libpython*.so*"):
        (prefix / "lib" / library.name).symlink_to(library)
    return prefix / "bin" / "python3"


_FACTS_PROGRAM = """
import json, os, sys, sysconfig
with open("/proc/self/maps") as file:
    libraries = [word for word in file.read().split() if word.endswith(("/libc.so.6", "libm.so.6"))]
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "minor": "%d.%d" % sys.version_info[:2],
    "stdlib": sysconfig.get_path("stdlib"),
    "libdir": sysconfig.get_config_var("LIBDIR") or "/nowhere",
    "library": libraries[0],
}))
"""


def _facts_of(python: Path) -> dict[str, str]:
    done = subprocess.run(
        [os.fspath(python), "-I", "-c", _FACTS_PROGRAM], capture_output=True, text=True, check=True
    )
    facts: dict[str, str] = json.loads(done.stdout)
    return facts
