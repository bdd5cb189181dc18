"""Round trips measured on this machine, for users; `bench/` at the top measures for developers."""

from __future__ import annotations

from .cases import PAYLOADS, WAYS, Case, Payload, Way, joints_payload, ways_of
from .compare import Change, compare
from .gateway import PrivateGateway
from .kept import keep, kept
from .machine import fingerprint
from .measure import Row, Settings, measure
from .result import document, read_document, save_csv, save_document, save_samples
from .table import change_table, result_table

__all__ = [
    "PAYLOADS",
    "WAYS",
    "Case",
    "Change",
    "Payload",
    "PrivateGateway",
    "Row",
    "Settings",
    "Way",
    "change_table",
    "compare",
    "document",
    "fingerprint",
    "joints_payload",
    "keep",
    "kept",
    "measure",
    "read_document",
    "result_table",
    "save_csv",
    "save_document",
    "save_samples",
    "ways_of",
]
