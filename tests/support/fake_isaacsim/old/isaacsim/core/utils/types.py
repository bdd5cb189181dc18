"""What `apply_action` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class ArticulationAction:
    """Targets; None leaves them as they are."""

    joint_positions: Any = None
    joint_velocities: Any = None
    joint_efforts: Any = None
    joint_indices: Any = None
