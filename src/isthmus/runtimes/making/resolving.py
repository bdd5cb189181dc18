"""Turn requirements into exact versions with hashes: by uv for every machine, by pip for this one.

uv's answer holds for every platform and for every Python from the oldest that was asked for. pip
only says what it would install here, so its answer is for this kind of interpreter alone. Neither
names an index in the answer: whoever installs from it uses the one their machine is set up with.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.making.installers import PipInstaller, UvInstaller

__all__ = ["Question", "Resolution", "resolve"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be resolved.

    Attributes:
        requirements: as in a requirements file.
        folder: where relative paths in it start.
        interpreter: the Python that asks.
        oldest: the oldest feature version the answer is to hold for, such as "3.11".
        before: the answer of the last time, whose versions stay where they still fit; or "".
    """

    requirements: str
    folder: Path
    interpreter: Interpreter
    oldest: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Exact versions.

    Attributes:
        text: a requirements file, with hashes.
        valid_for: version specifiers of the Pythons it holds for, such as ">=3.11"; or a SOABI,
            where it holds for that kind of interpreter alone.
    """

    text: str
    valid_for: str


def resolve(question: Question, installer: UvInstaller | PipInstaller) -> Resolution:
    """Find the versions; needs a package index in reach.

    Raises:
        EnvironmentSetupError: there are none that fit together, or no index; with the tool's words.
    """
    if isinstance(installer, UvInstaller):
        return _by_uv(question, installer)
    return _by_pip(question, installer)


def _by_uv(question: Question, uv: UvInstaller) -> Resolution:
    with tempfile.TemporaryDirectory(prefix="isthmus-") as scratch:
        answer = Path(scratch) / "lock.txt"
        answer.write_text(question.before, encoding="utf-8")
        uv.run(
            *("pip", "compile", "--quiet", "--universal", "--python-version", question.oldest),
            *("--python", os.fspath(question.interpreter.path), "--generate-hashes"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--output-file", os.fspath(answer), "-"),
            text=question.requirements,
            folder=question.folder,
        )
        return Resolution(answer.read_text(encoding="utf-8"), f">={question.oldest}")


def _by_pip(question: Question, pip: PipInstaller) -> Resolution:
    with tempfile.TemporaryDirectory(prefix="isthmus-") as scratch:
        environment, report = Path(scratch) / "environment", Path(scratch) / "report.json"
        pip.create(question.interpreter, environment)
        options = ["--quiet", "--dry-run", "--ignore-installed", "--report", os.fspath(report)]
        arguments = ["install", *options, "-r", "/dev/stdin"]
        try:
            pip.run(environment, *arguments, text=question.requirements, folder=question.folder)
        except EnvironmentSetupError as error:
            if "no such option" not in str(error):
                raise
            # The pip that came with a Python before 3.10.6 cannot report.
            pip.run(environment, "install", "--quiet", "--upgrade", "pip")
            pip.run(environment, *arguments, text=question.requirements, folder=question.folder)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return Resolution("".join(sorted(map(_pinned, found))), question.interpreter.soabi)


def _pinned(package: dict[str, Any]) -> str:
    """Write one package of pip's report as a requirement."""
    name, version = package["metadata"]["name"], package["metadata"]["version"]
    source = package["download_info"]
    digest = source.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest is None:
        raise EnvironmentSetupError(
            f"cannot keep the exact version of {name}: pip gives no hash for {source['url']}; "
            "expected a package from an index, or put uv on PATH"
        )
    pinned = f"{name} @ {source['url']}" if package["is_direct"] else f"{name}=={version}"
    return f"{pinned} \\\n    --hash=sha256:{digest}\n"
