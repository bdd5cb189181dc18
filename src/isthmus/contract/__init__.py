"""The contract both sides prove they share. Pure: text and arrays in, text and arrays out."""

from __future__ import annotations

from .actions import ActionField
from .contract import Contract
from .fields import Field
from .limits import Limits

__all__ = ["ActionField", "Contract", "Field", "Limits"]
