"""`gateway.prom`, read by the letter of Prometheus' text format."""

from __future__ import annotations

import re

from .processes import Gateway

__all__ = ["textfile"]

Sample = tuple[dict[str, str], float]
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def textfile(gateway: Gateway) -> dict[str, Sample]:
    """`gateway.prom`, read by the letter of Prometheus' text format: name -> labels and value."""
    found = {}
    for line in (gateway.folder / "gateway.prom").read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            pairs = LABEL.findall(sample[2] or "")
            labels = {name: re.sub(r"\\(.)", _unescaped, value) for name, value in pairs}
            found[sample[1]] = (labels, float(sample[3]))
    return found


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
