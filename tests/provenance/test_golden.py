"""Golden vectors: a change here makes every hash ever recorded a stranger."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.provenance import plain, randomization_hash
from isthmus.provenance.canonical import canonical
from isthmus.runtimes import Environment

from .reference import PREFIX, read, write

GOLDEN = Path(__file__).with_name("randomization_r1.json")
VECTORS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["vectors"]

PROGRAM = """
import json, sys
import numpy as np
from isthmus.provenance import randomization_hash
from isthmus.provenance.canonical import canonical
vectors = json.load(open(sys.argv[1], encoding="utf-8"))["vectors"]
wrong = []
for vector in vectors:
    values = vector["values"]
    arrays = {name: np.array(values[name], kind) for name, kind in vector["arrays"].items()}
    for sample in (values, {**values, **arrays}):
        found = canonical(sample).hex(), randomization_hash(sample)
        if found != (vector["form"], vector["hash"]):
            wrong.append(vector["name"])
print(json.dumps([len(vectors), wrong, np.__version__]))
"""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_has_its_form_and_its_hash(vector: dict[str, Any]) -> None:
    values = vector["values"]
    assert canonical(values).hex() == vector["form"]
    assert randomization_hash(values) == vector["hash"]
    arrays = {name: np.array(values[name], kind) for name, kind in vector["arrays"].items()}
    assert randomization_hash({**values, **arrays}) == vector["hash"]
    assert randomization_hash(plain({**values, **arrays})) == vector["hash"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_is_what_the_page_says(vector: dict[str, Any]) -> None:
    form = bytes.fromhex(vector["form"])
    assert form == PREFIX + write(vector["values"])
    assert read(form) == vector["values"]


def test_no_two_vectors_share_a_hash() -> None:
    assert len({vector["hash"] for vector in VECTORS}) == len(VECTORS)


@pytest.mark.cross_python
def test_every_python_and_numpy_computes_the_same(other_python: Environment) -> None:
    done = subprocess.run(
        [str(other_python.python), "-I", "-W", "error", "-c", PROGRAM, str(GOLDEN)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, wrong, numpy_version = json.loads(done.stdout)
    assert (count, wrong) == (len(VECTORS), [])
    assert numpy_version.startswith("1." if other_python.lock == "numpy1" else "2.")
