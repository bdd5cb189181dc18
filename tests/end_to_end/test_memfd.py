"""Shared memory where Python was built without the calls for it, or the reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import isthmus
from isthmus.errors import UpgradeError

from ..support.gateways import gateway, halving

WITHOUT_MEMFD = "import os; del os.memfd_create"
WITHOUT_SYSCALL = f"""
{WITHOUT_MEMFD}
import isthmus.transport.segment as segment
segment._MEMFD_SYSCALL.clear()
"""
WITHOUT_EVENTFD = "import os; del os.eventfd"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield f"shm:{tmp_path}/s"


def step(url: str) -> isthmus.Link:
    link = isthmus.connect(url)
    assert link.act(q=[1, 3], deadline=20)["speed"].tolist() == [0.5, 1.5]
    return link


@pytest.mark.parametrize("prelude", ["", WITHOUT_MEMFD, WITHOUT_SYSCALL])
def test_the_gateway_makes_a_segment_somehow(url: str, prelude: str) -> None:
    with gateway(*halving(url.replace("shm", "unix")), prelude=prelude) as found:
        with step(url) as link:
            assert link.transport == "shm"
            assert not link.transport_note
        assert found.stop() == 0


def test_the_link_needs_no_memfd_create(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with gateway(*halving(url.replace("shm", "unix"))), step(url) as link:
        assert link.transport == "shm"


@pytest.mark.parametrize("side", ["gateway", "link"])
def test_without_eventfd_it_says_why_not(
    url: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unix = url.replace("shm", "unix")
    # A gateway needs eventfd itself; there, only what shared memory asks for is taken away.
    prelude = "import isthmus.gateway.register as r; r.can_share = lambda: 'no eventfd here'"
    with gateway(*halving(unix), prelude=prelude if side == "gateway" else ""):
        if side == "link":
            monkeypatch.delattr(os, "eventfd")
        with step(unix) as link:
            assert link.transport == "unix"
            assert "eventfd" in link.transport_note
        with pytest.raises(UpgradeError, match=r"eventfd.*Use unix:"):
            isthmus.connect(url)
