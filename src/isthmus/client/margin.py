"""How long an answer needs beyond what the gateway itself takes."""

from __future__ import annotations

__all__ = ["ReturnMargin"]

_WINDOW = 128
_REFRESH = 32


class ReturnMargin:
    """p99 of (round trip - the gateway's own span) over the last steps, in ns.

    The budget a gateway gets is what is left of the deadline less this, so that an answer that
    leaves at the end of its budget still arrives in time.
    """

    def __init__(self) -> None:
        """Start with nothing measured: no margin."""
        self._spans: list[int] = []
        self._count = 0
        self.ns = 0

    def record(self, span_ns: int) -> None:
        """Take one step's measure in."""
        spans = self._spans
        if len(spans) < _WINDOW:
            spans.append(span_ns)
        else:
            spans[self._count % _WINDOW] = span_ns
        self._count += 1
        if self._count % _REFRESH == 0:
            self.ns = sorted(spans)[len(spans) * 99 // 100]
