"""A gateway and a fake one, on private addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.contracts import pair
from ..support.gateways import ROOT, Served, serving
from ..support.policies import half, policy


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`memory:tests.support.served:NAME` works from wherever the tests are started."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def served() -> Iterator[Served]:
    """An engine that answers half of `q`."""
    with serving(policy(half, pair())) as found:
        yield found


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A short address in a private folder."""
    monkeypatch.chdir(tmp_path)
    return "unix:s"
