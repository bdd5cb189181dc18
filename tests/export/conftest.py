from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from isthmus.export import Naming, Options, export_policy

FIXTURES = Path(__file__).parent / "fixtures"

# Everything that has no first-system shape needs to be told what replaces its action.
NAMINGS = {"ppo_tanh": Naming()}
HELD = Naming(fallback="hold")


def options_for(name: str, **changes: Any) -> Options:
    """How a fixture is exported: its statistics, and the recorded answers of its makers."""
    statistics = FIXTURES / f"{name}.vecnormalize.pkl"
    return Options(
        **{
            "naming": NAMINGS.get(name, HELD),
            "vecnormalize": statistics if statistics.exists() else None,
            "observations": FIXTURES / f"{name}.npz",
            **changes,
        }
    )


def export(name: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """Export a fixture into a folder; its manifest."""
    source = next(FIXTURES.glob(f"{name}.[zp][it]*"))
    done = export_policy(source, folder / f"{name}.onnx", options_for(name, **changes))
    found: dict[str, Any] = json.loads((folder / f"{name}.manifest.json").read_text())
    assert found == done.manifest
    return found


@pytest.fixture
def fixtures() -> Path:
    return FIXTURES
