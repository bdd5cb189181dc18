"""Packages that `pip install --user` left for every Python of one version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from .inspection import Subject
from .kinds import finding
from .report import Finding

__all__ = ["user_site_findings"]

# These do not read the user site: their pyvenv.cfg says so.
_CLOSED = ("venv", "made", "project")
_TOOLS = ("pip", "setuptools", "wheel", "uv")
_DISTRIBUTION = re.compile(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info\Z")
_MOST = 8


def user_site_findings(
    environ: Mapping[str, str], home: Path, subject: Subject
) -> Iterator[Finding]:
    """Name the packages of the user site that would be loaded in place of a runtime's own.

    Args:
        environ: PYTHONUSERBASE and PYTHONNOUSERSITE are read.
        home: the user's folder.
        subject: one runtime.
    """
    examination, located = subject.examination, subject.located
    if examination is None or located is None or located.kind in _CLOSED:
        return
    if environ.get("PYTHONNOUSERSITE"):
        return
    base = Path(environ.get("PYTHONUSERBASE") or home / ".local")
    folder = base / "lib" / f"python{examination.minor}" / "site-packages"
    shadowing = [
        f"{name} {version} in place of {examination.packages[name]}"
        for name, version in _distributions(folder)
        if name not in _TOOLS and examination.packages.get(name, version) != version
    ]
    if not shadowing:
        return
    more = [f"and {len(shadowing) - _MOST} more"] if len(shadowing) > _MOST else []
    evidence = [f"{folder} has:", *shadowing[:_MOST], *more]
    names = " ".join(line.split()[0] for line in shadowing[:_MOST])
    fix = (
        "In this shell: `export PYTHONNOUSERSITE=1`.",
        f"For good: `PYTHONPATH= {located.python} -m pip uninstall {names}`.",
    )
    yield replace(finding("user-site", subject.where, evidence), fix=fix)


def _distributions(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        match = _DISTRIBUTION.match(name)
        if match:
            yield re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]
