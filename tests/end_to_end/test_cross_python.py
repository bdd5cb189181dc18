"""A link on every Python found, numpy 1 and 2, against one gateway: the same bits come back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from isthmus.runtimes import Environment

from ..support.gateways import ROOT, Gateway, gateway

pytestmark = pytest.mark.cross_python

LINK = """
import json, sys
import numpy as np
import isthmus

options = json.loads(sys.argv[1])
num_envs = options.get("num_envs")
lead = () if num_envs is None else (num_envs,)
rng = np.random.default_rng(3)
with isthmus.connect(options.pop("url"), deadline=20, **options) as link:
    for step in range(3):
        sent = {}
        for field in link.contract.observation:
            kind = np.dtype(field.dtype)
            shape = (*lead, *field.shape)
            if kind.kind == "f":
                array = rng.standard_normal(shape).astype(kind)
            elif kind.kind == "b":
                array = rng.random(shape) < 0.5
            else:
                info = np.iinfo(kind)
                array = rng.integers(info.min, info.max, shape, kind, endpoint=True)
            sent[field.name] = array
        action = link.act(sent, sim_time=step * 0.02, rand_hash="ab" * 32)
        assert action.status == "policy", action
        assert action.rand_hash == "ab" * 32
        for name, array in sent.items():
            came = action["out_" + name[3:]]
            assert came.dtype == array.dtype and came.tobytes() == array.tobytes(), name
    print(json.dumps([link.transport, link.interface_hash, np.__version__]))
"""

WAYS = {
    "shm": ("shm", {}),
    "unix": ("unix", {"upgrade": False}),
    "tcp": ("tcp", {"upgrade": False}),
    "tcp json": ("tcp", {"codec": "json"}),
    "unix json": ("unix", {"codec": "json"}),
    "tcp to shm": ("shm", {}),
}


@pytest.fixture(scope="module")
def mirroring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all of them."""
    folder = tmp_path_factory.mktemp("s")
    listen = ["--listen", f"unix:{folder}/s", "--listen", "tcp://127.0.0.1:0"]
    with gateway("tests.support.served:mirroring", *listen) as found:
        yield found


@pytest.mark.parametrize("num_envs", [None, 3])
@pytest.mark.parametrize("way", WAYS)
def test_bit_exact(
    other_python: Environment, mirroring: Gateway, way: str, num_envs: int | None
) -> None:
    unix, tcp = mirroring.addresses
    transport, options = WAYS[way]
    url = tcp if "tcp" in way else unix.replace("unix", "shm" if way == "shm" else "unix")
    done = subprocess.run(
        [str(ROOT / other_python.python), "-W", "error", "-c", LINK,
         json.dumps({"url": url, "num_envs": num_envs, **options})],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    came, interface, numpy = json.loads(done.stdout)
    assert came == transport
    assert len(interface) == 64
    assert numpy.startswith("1." if other_python.lock == "numpy1" else "2.")


def test_a_gateway_on_the_oldest_python(oldest_python: Environment, tmp_path: object) -> None:
    import isthmus

    from ..support.gateways import halving

    url = f"unix:{tmp_path}/s"
    with gateway(*halving(url), python=ROOT / oldest_python.python) as found:
        with isthmus.connect(url) as link:
            assert link.transport == "shm"
            assert link.gateway["python"] == oldest_python.version
            assert link.act(q=[1, 3], deadline=20)["speed"].tolist() == [0.5, 1.5]
        assert found.stop() == 0
