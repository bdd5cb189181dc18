"""Every module is imported in every Python found, with numpy alone, old and new."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from isthmus.runtimes import Environment

# These need a library that the simulator's side does not have.
NEED_MORE = (
    "isthmus.sim.",
    "isthmus.env.",
    "isthmus.policy.onnx",
    "isthmus.control.exposition",
    "isthmus.export.graph",
)

IMPORT_ALL = """
import importlib, json, sys
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
import numpy
print(json.dumps([failed, numpy.__version__, list(sys.version_info[:2])]))
"""


def module_names(root: Path) -> list[str]:
    """List every module that must import with numpy alone."""
    source = root / "src"
    names = [
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((source / "isthmus").rglob("*.py"))
        if path.name != "__main__.py"
    ]
    return [name for name in names if not name.startswith(NEED_MORE)]


@pytest.mark.cross_python
def test_every_module_imports_with_numpy_alone(
    other_python: Environment, project_root: Path
) -> None:
    names = module_names(project_root)
    done = subprocess.run(
        [str(other_python.python), "-I", "-W", "error", "-c", IMPORT_ALL, json.dumps(names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed, numpy_version, version = json.loads(done.stdout)
    assert failed == {}
    assert numpy_version.startswith("1." if other_python.lock == "numpy1" else "2.")
    assert ".".join(map(str, version)) == other_python.minor
