"""Finds what is wrong with a machine's Pythons, and says how to mend it."""

from __future__ import annotations

from isthmus.doctor.diagnosis import diagnose
from isthmus.doctor.report import Finding, Machine, Report, RuntimeFacts, Variable

__all__ = ["Finding", "Machine", "Report", "RuntimeFacts", "Variable", "diagnose"]
