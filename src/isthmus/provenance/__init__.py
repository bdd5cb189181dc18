"""What was in force: one hash for the randomization as applied, and where two samples part."""

from __future__ import annotations

from .difference import ABSENT, Difference, differences, first_difference
from .plain import plain
from .randomization import (
    HASH_VERSION,
    MAX_SENT_VALUES,
    batch_hashes,
    randomization_hash,
    sample_to_send,
)

__all__ = [
    "ABSENT",
    "HASH_VERSION",
    "MAX_SENT_VALUES",
    "Difference",
    "batch_hashes",
    "differences",
    "first_difference",
    "plain",
    "randomization_hash",
    "sample_to_send",
]
