"""Gateways that many tests of this folder ask."""

from __future__ import annotations

import pytest

from .first_files import dummy, moody_policy
from .processes import NEVER, PATIENT, Gateway, Starter, starter

__all__ = ["starter"]  # fixture


@pytest.fixture(scope="package")
def gateway(starter: Starter) -> Gateway:
    """The script with a zero policy for six joints, as it was started every day."""
    folder = starter.folder()
    return starter.script(
        "--policy", dummy(folder), "--log-dir", "here", "--metrics-interval", NEVER, *PATIENT,
        "--prometheus-textfile", "gateway.prom", "--prometheus-instance-id", 'arm "7" \\ left',
        "--prometheus-enable-labels", "--action-scale", "0.25",
        folder=folder,
    )  # fmt: skip


@pytest.fixture(scope="package")
def empty(starter: Starter) -> Gateway:
    """The script without a policy."""
    return starter.script("--metrics-interval", NEVER)


@pytest.fixture(scope="package")
def moody(starter: Starter) -> Gateway:
    """A policy with moods, which hangs as it is told, under a deadline."""
    folder = starter.folder()
    return starter.serve(
        *moody_policy(folder), "--executor", "thread", "--deadline-ms", "20",
        "--metrics-interval", NEVER, "--record-payloads", "all",
        folder=folder,
    )  # fmt: skip
