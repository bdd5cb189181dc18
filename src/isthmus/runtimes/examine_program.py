"""What an interpreter is asked: `examine` runs this text in it with `-c`, and reads what it prints.

It runs in whatever Python of at least 3.7 it is given, so it imports nothing of ours and little
else, and its syntax is old; for those that are older still, `examine` has a shorter text. Its
answer stands between marks, for a site's start-up files may print too.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # `-c` puts the current folder first; a script has its own there, so this is nobody's.
    sys.path[:] = [entry for entry in sys.path if entry]

import json
import os
import re
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from typing import Any, Collection, Iterator  # noqa: UP035 - the other place is not there in old Pythons

MARK = "--isthmus-examination--"

_EXTENSION = re.compile(r"([^.]+)(\..*)?\.so\Z")
_MINOR = re.compile(r"[/\\]python(\d+\.\d+)t?[/\\](?:site|dist)-packages")
_DISTRIBUTION = re.compile(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info\Z")
_VERSION = re.compile(r"""^(?:VERSION|version|short_version)\s*=\s*["']([^"']+)["']""", re.M)
_MEMFD_SYSCALL = {"x86_64": 319, "aarch64": 279}


def look() -> dict[str, Any]:
    """Say what this interpreter is and what it would import from."""
    listed = {entry: _list(entry) for entry in sys.path}
    packages = dict(_packages(listed))
    return {
        "python": sys.executable or "",
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "soabi": sysconfig.get_config_var("SOABI") or "",
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "sys_path": list(sys.path),
        "foreign": list(_foreign(listed)),
        "numpy": _numpy(packages),
        "packages": packages,
        "isthmus": _text_version(_find("isthmus")),
        "user_site": bool(getattr(sys.modules.get("site"), "ENABLE_USER_SITE", False)),
        "abilities": {"memfd": _memfd(), "eventfd": _eventfd(), "pidfd": _pidfd()},
    }


def try_imports(names: list[str], tell: Any) -> dict[str, str]:
    """Import modules for real; what each failure said, by module."""
    import importlib
    import traceback

    failed = {}
    for name in names:
        tell(f"importing {name}")
        try:
            importlib.import_module(name)
        except BaseException as error:  # also SystemExit: a module may refuse by leaving
            failed[name] = "".join(traceback.format_exception_only(type(error), error)).strip()
    return failed


def loaded_files(before: Collection[str]) -> list[str]:
    """List the files, and of a package without one the folders, that were imported since.

    Args:
        before: the names of the modules that were there.
    """
    found: dict[str, None] = {}
    for name, module in list(sys.modules.items()):
        # By its own dictionary: asking a lazy module for anything would load it.
        facts = getattr(module, "__dict__", {}) if name not in before else {}
        places = [facts.get("__file__")]
        if places == [None]:
            places = list(facts.get("__path__") or ())
        found.update((place, None) for place in places if isinstance(place, str))
    return list(found)


def is_present(name: str) -> bool:
    """Tell whether a module is there, importing nothing, whatever stands guard over imports."""
    path: list[str] | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        if spec is None:
            return end == 1 == len(parts) and name in sys.builtin_module_names
        path = list(spec.submodule_search_locations or [])
    return True


def _list(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _foreign(listed: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Find the import folders that were made for another interpreter."""
    version = "{}.{}".format(*sys.version_info[:2])
    own = _own_folders(version)
    for entry, names in listed.items():
        minor = _MINOR.search(os.path.join(entry, ""))
        if os.path.realpath(entry) in own:
            continue
        if {"os.py", "site.py", "encodings"} <= set(names):
            theirs = re.search(r"python(\d+\.\d+)", entry)
            whose = f"Python {theirs.group(1)}" if theirs else "another Python"
            yield entry, f"the standard library of {whose}"
        elif os.path.basename(entry) == "lib-dynload":
            yield entry, "the compiled standard library of another Python"
        elif minor and minor.group(1) != version:
            yield entry, f"packages of Python {minor.group(1)}; this is {version}"
        else:
            built = _built_for_others(names)
            if built:
                yield entry, f"holds {built}, compiled for another Python; this is {version}"


def _own_folders(version: str) -> list[str]:
    """List this interpreter's library folders, and those its own site module chose."""
    import site

    own = list(getattr(site, "getsitepackages", list)())
    for prefix in {sys.base_prefix, sys.base_exec_prefix}:
        for lib in {"lib", getattr(sys, "platlibdir", "lib")}:
            for suffix in ("", "t"):
                library = os.path.join(prefix, lib, f"python{version}{suffix}")
                own += [library, os.path.join(library, "lib-dynload")]
    return [os.path.realpath(folder) for folder in own]


def _built_for_others(names: list[str]) -> str:
    """Name a compiled module that this interpreter cannot load in any of its forms, or ""."""
    own, other = set(), {}
    for name in names:
        match = _EXTENSION.match(name)
        if match and any(name == match.group(1) + suffix for suffix in EXTENSION_SUFFIXES):
            own.add(match.group(1))
        elif match and re.match(r"\.(cpython-|cp|pypy)\d", match.group(2) or ""):
            other[match.group(1)] = name
    return next((name for stem, name in sorted(other.items()) if stem not in own), "")


def _packages(listed: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """List installed distributions by the names of their folders; the first on the path counts."""
    seen = set()
    for names in listed.values():
        for name in names:
            match = _DISTRIBUTION.match(name)
            key = re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""
            if match and key not in seen:
                seen.add(key)
                yield key, match.group(2)


def _find(package: str) -> str:
    """Say which folder a package would be imported from, or ""."""
    spec = PathFinder.find_spec(package)
    return os.path.dirname(spec.origin) if spec is not None and spec.origin else ""


def _numpy(packages: dict[str, str]) -> str:
    """Say which numpy would be imported: by what is beside it, by its own file, by importing it."""
    folder = _find("numpy")
    if not folder:
        return ""
    for name in _list(os.path.dirname(folder)):
        match = _DISTRIBUTION.match(name)
        if match and match.group(1).lower() == "numpy":
            return match.group(2)
    version = _text_version(folder) or packages.get("numpy", "")
    if not version:
        try:
            version = str(__import__("numpy").__version__)
        except Exception:  # whatever is wrong with it, its version stays unknown
            return "unknown"
    return version


def _text_version(folder: str) -> str:
    try:
        with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
            match = _VERSION.search(file.read())
    except OSError:
        return ""
    return match.group(1) if match else ""


def _memfd() -> str:
    """Say how memory without a name can be had: from os, by the system call, or not ("")."""
    create = getattr(os, "memfd_create", None)
    try:
        if create is not None:
            os.close(create("isthmus"))
            return "os"
        import ctypes

        number = _MEMFD_SYSCALL[os.uname().machine]
        descriptor = ctypes.CDLL(None, use_errno=True).syscall(number, b"isthmus", 1)
        os.close(descriptor)
    except (ImportError, KeyError, OSError):
        return ""
    return "syscall"


def _eventfd() -> bool:
    try:
        os.close(os.eventfd(0))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):
        return False
    return True


def _pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def main() -> None:
    """Answer on what was standard output; whatever the modules print goes to standard error."""
    asked = json.loads(sys.argv[1])
    report = os.dup(1)
    os.dup2(2, 1)

    def tell(line: str) -> None:
        os.write(report, f"\n{MARK}{line}\n".encode())

    answer = look()
    answer["present_forbidden"] = [name for name in asked["forbid_import"] if is_present(name)]
    before = set(sys.modules)
    # Nor does what is tried here report to its makers (isthmus.policy.onnx).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    answer["failed_imports"] = try_imports(asked["must_import"], tell)
    answer["loaded"] = loaded_files(before)
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(report, "w", encoding="ascii") as file:
        file.write(f"\n{MARK}answer {json.dumps(answer)}\n")
    # Threads and exit handlers of what was imported have nothing more to do here.
    os._exit(0)


if __name__ == "__main__":
    main()
