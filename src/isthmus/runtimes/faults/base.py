"""What one known fault is: the words of the table in `faults`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAUSE", "CONSEQUENCE", "SYMPTOM", "Fault"]

CAUSE = 0
"""Its text names what is wrong, whatever else is said."""
SYMPTOM = 1
"""Its text follows from something that may be named elsewhere in the log."""
CONSEQUENCE = 2
"""Its text is said after any failure."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that people meet where two Pythons share one machine.

    Attributes:
        id: a word for tables and `--json`; never changes its meaning.
        title: what is wrong, on one line.
        patterns: regular expressions, each found within one line of output; a group named `what`
            is the part that differs from case to case.
        causes: how it comes about.
        fix: what to do, one step a line; commands are in backticks.
        example: real output, shortened; every pattern's kind is in some example or test.
        rank: `CAUSE`, `SYMPTOM` or `CONSEQUENCE`; causes are told first.
        seen: public threads where people met it.
        group: the heading it stands under in the documentation.
        version: a version of Python in `fix` that stands for the one the text speaks of.
        place: a regular expression, searched for below the line, whose first group is the file to
            blame; "" blames the one that a traceback names last above it.
    """

    id: str
    title: str
    patterns: tuple[str, ...]
    causes: str
    fix: str
    example: str
    rank: int = CAUSE
    seen: tuple[str, ...] = ()
    group: str = ""
    version: str = ""
    place: str = ""
