"""`isthmus serve policy.zip`, and `load_policy` of others, asked as the first clients ask."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.gateways import ROOT, Gateway, gateway

from .canaries import archive, members_of, sb3_with, touching
from .conftest import FIXTURES

NEVER_OPENED = ("policy.optimizer.pth", "pytorch_variables.pth", "tensors.pth",
                "data, _last_obs", "data, lr_schedule", "data, my_own")  # fmt: skip
"""Parts of an archive that play no role: a canary in there is neither run nor noticed."""


class Client:
    """One connection, one JSON object a line."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), 30)
        self._lines = self._socket.makefile("r")

    def ask(self, **message: Any) -> dict[str, Any]:
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("ppo_tanh.zip", "state_dict.pth"):
        shutil.copy(FIXTURES / name, folder)
    return folder


@pytest.fixture
def served(models: Path) -> Iterator[Gateway]:
    with gateway(
        str(models / "ppo_tanh.zip"), "--listen", "tcp://127.0.0.1:0", "--policy-dir", str(models),
        "--executor", "inline", "--deadline-ms", "5000",
    ) as found:  # fmt: skip
        yield found


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    found = Client(served.addresses[0])
    yield found
    found.close()


def recorded() -> tuple[Any, Any]:
    with np.load(FIXTURES / "ppo_tanh.npz") as arrays:
        return arrays["observations"], arrays["actions"]


def act(client: Client, row: Any) -> list[float]:
    answer = client.ask(type="obs", data={"q": row[:3].tolist(), "dq": row[3:].tolist()})
    assert answer["type"] == "action", answer
    delta: list[float] = answer["data"]["delta"]
    return delta


def test_a_zip_answers_what_its_maker_recorded(client: Client, served: Gateway) -> None:
    rows, actions = recorded()
    for row, wanted in zip(rows[:8], actions, strict=False):
        np.testing.assert_allclose(act(client, row), wanted, atol=1e-5)
    assert served.stop() == 0


def test_a_client_loads_another_and_canaries_are_refused(
    client: Client, served: Gateway, models: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    rows, _ = recorded()
    before = act(client, rows[0])
    payload = touching(canary)["reduce, protocol 4"]
    for place, data in sb3_with(FIXTURES / "ppo_tanh.zip", payload).items():
        (models / "evil.zip").write_bytes(data)
        answer = client.ask(type="load_policy", path="evil.zip")
        refused = answer.get("error") == "load_failed"
        assert refused != place.startswith(NEVER_OPENED), (place, answer)
    for name in ("evil.pt", "evil.pth", "evil.pkl"):
        (models / name).write_bytes(payload)
        assert client.ask(type="load_policy", path=name)["error"] == "load_failed"
    answer = client.ask(type="load_policy", path="state_dict.pth")
    assert "torch.jit.script" in answer["detail"]
    assert not canary.exists()
    # What was refused changed nothing, and what is no canary is served.
    np.testing.assert_allclose(act(client, rows[0]), before, atol=1e-6)
    members = members_of(FIXTURES / "ppo_tanh.zip")
    del members["policy.optimizer.pth"]
    (models / "again.zip").write_bytes(archive(members))
    assert client.ask(type="load_policy", path="again.zip")["type"] == "load_policy_ack"
    np.testing.assert_allclose(act(client, rows[0]), before, atol=1e-6)


@pytest.mark.parametrize("name", ["evil.zip", "evil.pt", "evil.pth", "evil.pkl"])
def test_serving_a_canary_is_one_line_and_status_2(name: str, models: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (models / name).write_bytes(touching(canary)["reduce, protocol 2"])
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "serve", str(models / name), "--listen",
         "tcp://127.0.0.1:0"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("isthmus: ") and done.stderr.count("\n") == 1
    assert not canary.exists()
