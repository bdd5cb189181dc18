"""What is read without torch is read alike by every Python, with numpy alone, old and new."""

from __future__ import annotations

import json
import subprocess
import textwrap

import pytest

from isthmus.runtimes import Environment

from .conftest import FIXTURES

PROGRAM = """
    import json, pathlib, sys
    import numpy as np
    from isthmus.export.archive import Archive
    from isthmus.export.normalise import read_vecnormalize
    from isthmus.export.sb3 import read_sb3

    folder, found = pathlib.Path(sys.argv[1]), {}
    for path in sorted(folder.glob("*.zip")):
        pickle = path.with_suffix(".vecnormalize.pkl")
        scaled = read_vecnormalize(pickle.read_bytes(), "s") if pickle.exists() else None
        archive = Archive(path.read_bytes(), path.name)
        source = read_sb3(archive, path.name, normalise=scaled, activation="", raw=False)
        with np.load(path.with_suffix(".npz")) as recorded:
            rows, actions = recorded["observations"], recorded["actions"]
        found[path.stem] = source.difference(rows, actions)
    print(json.dumps(found))
"""


@pytest.mark.cross_python
def test_every_python_reads_the_recorded_answers(other_python: Environment) -> None:
    done = subprocess.run(
        [str(other_python.python), "-I", "-W", "error", "-c", textwrap.dedent(PROGRAM),
         str(FIXTURES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {path.stem for path in FIXTURES.glob("*.zip")}
    assert max(found.values()) <= 5e-6, found
