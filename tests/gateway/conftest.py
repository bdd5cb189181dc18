"""A gateway with a policy that misbehaves on request, and a good session that notices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.policies import Scripted, policy
from .good import Good


@pytest.fixture
def served() -> Iterator[Served]:
    """An engine with a `Scripted` policy."""
    with serving(policy(Scripted(), pair())) as found:
        yield found


@pytest.fixture
def good(served: Served) -> Iterator[Good]:
    """A session that keeps asking; it must never miss an answer."""
    with served.connect() as link:
        found = Good(link)
        found.asks()
        yield found
        found.asks()
        assert link.stats()["misses"] == link.stats()["reconnects"] == 0
