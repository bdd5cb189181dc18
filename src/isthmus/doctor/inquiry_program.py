"""What a runtime's own Python is asked: `inquiry` runs this text in it with `-c`.

Its answers stand behind marks, one a line, for what is imported may print too; each is out before
the next thing is tried, for what is imported may end the process.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, distributions
from itertools import islice
from pathlib import Path

MARK = "--isthmus-inquiry--"

MAX_FILE = 64 << 20
"""Bytes; a larger compiled module is not searched."""
MAX_FILES = 400
"""Compiled modules searched in one distribution."""
MAX_TRIES = 12
"""Distributions imported."""

# Importing these without their application does harm, and says nothing.
_OF_KIT = ("omni", "isaacsim", "carb", "pxr")

_NUMPY = re.compile(r"^Requires-Dist:\s*numpy\s*(\([^)]*\)|[^;\n]*?)\s*(?:;\s*(.*))?$", re.M | re.I)
_PYTHON_MARKER = re.compile(r"""python_version\s*(==|!=|<=|>=|<|>)\s*["']([\d.]+)["']\Z""")

Say = Callable[[str, object], None]


def interface(contract: str) -> dict[str, object]:
    """Say what isthmus is here, and what it reads in the contract; or why not."""
    from isthmus.contract.text import loads
    from isthmus.version import VERSION

    answer: dict[str, object] = {
        "isthmus": VERSION,
        "wire": 0,
        "hash": "",
        "error": "",
        "unusable": "",
    }
    try:
        answer["wire"] = import_module("isthmus.protocol.bounds").WIRE_VERSION
    except ImportError as error:
        answer["unusable"] = f"{type(error).__name__}: {error}"
    if contract:
        try:
            text = Path(contract).read_bytes()
            form = "toml" if contract.endswith(".toml") else "json"
            answer["hash"] = loads(text, form).interface_hash
        except Exception as error:  # whatever it is, the answer is its words
            answer["error"] = f"{type(error).__name__}: {error}"
    return answer


def numpy_suspects(numpy: str) -> Iterator[tuple[str, str, str, str]]:
    """List distributions that may not fit numpy: name, version, module to try, why."""
    for found in distributions():
        metadata = found.read_text("METADATA") or ""
        wants = [match for match in _NUMPY.findall(metadata) if _applies(match[1])]
        name, version = _header(metadata, "Name"), _header(metadata, "Version")
        if not wants or name.lower() == "numpy":
            continue
        refused = [text for text in (each[0].strip("() ") for each in wants) if text]
        refused = [text for text in refused if not _allows(text, numpy)]
        built = next(_compiled(found, _is_for_numpy_1), "") if numpy.startswith("2.") else ""
        if built or refused:
            module = built or next(_compiled(found, _knows_numpy), "") or _top_module(found, name)
            why = f"asks for numpy {refused[0]}" if refused else "was built for numpy 1"
            yield name, version, module, why


def _header(metadata: str, key: str) -> str:
    match = re.search(rf"^{key}:\s*(\S+)", metadata, re.M)
    return match[1] if match else "?"


def _applies(marker: str) -> bool:
    """Whether a requirement counts here; one with a marker that is not understood does not."""
    if not marker.strip():
        return True
    match = _PYTHON_MARKER.match(marker.strip())
    return match is not None and _allows(f"{match[1]}{match[2]}", "{}.{}".format(*sys.version_info))


def _allows(text: str, version: str) -> bool:
    from isthmus.errors import Error
    from isthmus.runtimes.versions import Specifier

    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    major, minor, micro = [*numbers, 0, 0, 0][:3]
    try:
        return Specifier.parse(text).allows((major, minor, micro))
    except Error:  # a specifier of a kind we do not know says nothing
        return True


def _knows_numpy(code: bytes) -> bool:
    return b"numpy" in code


def _is_for_numpy_1(code: bytes) -> bool:
    """Whether it knows numpy.core, the name that numpy 1 has, and not numpy._core."""
    return b"numpy.core." in code and b"numpy._core" not in code


def _compiled(found: Distribution, is_wanted: Callable[[bytes], bool]) -> Iterator[str]:
    """Find the compiled modules of a distribution whose code is of some kind."""
    record = found.read_text("RECORD") or ""
    names = re.findall(r'^"?([^",\n]+\.so)"?,', record, re.M)
    for name in names[:MAX_FILES]:
        module = _module_of(name)
        path = Path(str(found.locate_file(name)))
        try:
            if not module or path.stat().st_size > MAX_FILE:
                continue
            code = path.read_bytes()
        except OSError:
            continue
        if is_wanted(code):
            yield module


def _module_of(name: str) -> str:
    for suffix in EXTENSION_SUFFIXES:
        if name.endswith(suffix):
            parts = name[: -len(suffix)].split("/")
            return ".".join(parts) if all(part.isidentifier() for part in parts) else ""
    return ""


def _top_module(found: Distribution, name: str) -> str:
    listed = (found.read_text("top_level.txt") or "").split()
    return next((each for each in listed if each.isidentifier()), name.replace("-", "_").lower())


def try_suspects(numpy: str, say: Say) -> None:
    """Import what may not fit; only what fails is told."""
    for name, version, module, why in islice(numpy_suspects(numpy), MAX_TRIES):
        if module.partition(".")[0] in _OF_KIT:
            continue
        entry = {"name": name, "version": version, "module": module, "why": why}
        say("trying", entry)
        try:
            import_module(module)
        except BaseException as error:  # also SystemExit: a module may refuse by leaving
            said = f"{type(error).__name__}: {error}".strip()
            say("unfit", {**entry, "error": said})
        say("tried", module)


def main() -> None:
    """Answer on what was standard output; whatever modules print goes to standard error."""
    asked = json.loads(sys.argv[1])
    report = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def say(key: str, value: object) -> None:
        report.write(f"\n{MARK}{json.dumps({key: value})}\n")
        report.flush()

    say("interface", interface(asked["contract"]))
    if asked["numpy"]:
        # Nor does what is tried here report to its makers (isthmus.policy.onnx).
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try_suspects(asked["numpy"], say)
    say("done", True)
    os._exit(0)  # threads and exit handlers of what was imported have nothing more to do here


if __name__ == "__main__":
    main()
