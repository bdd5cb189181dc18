"""The table of known faults: every row finds its own example, and real failures are named."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from isthmus.runtimes import Environment, Interpreter, find_interpreters, newest_of_each_minor
from isthmus.runtimes.faults import FAULTS, MAX_LINE, Fault, explain, fault
from isthmus.runtimes.faults.base import CAUSE

SRE = "AssertionError: SRE module mismatch"


def ids(text: str) -> list[str]:
    return [match.fault.id for match in explain(text)]


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.id)
def test_every_row_is_whole(row: Fault) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id)
    assert fault(row.id) is row
    for text in (row.title, row.causes, row.fix, row.example, row.group):
        assert text.strip() == text.rstrip("\n").strip() != ""
    for pattern in row.patterns:
        assert re.compile(pattern).groups == len(re.compile(pattern).groupindex) <= 1
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", thread) for thread in row.seen)


def test_ids_are_used_once() -> None:
    assert len({row.id for row in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.id)
def test_every_row_finds_its_example(row: Fault) -> None:
    assert row.id in ids(row.example)
    if row.rank == CAUSE:
        assert ids(row.example)[0] == row.id


VARIANTS = {
    # What else people paste; the excerpts of the table are not repeated.
    "AttributeError: module 'sys' has no attribute '_get_cpu_count_config'": "foreign-stdlib",
    "ImportError: cannot import name 'HAS_PSK' from '_ssl' "
    "(/opt/py/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so)": "foreign-stdlib",
    "ImportError: bad magic number in 'encodings': b'o\\r\\r\\n'": "foreign-stdlib",
    "Fatal Python error: Failed to import encodings module": "pythonhome",
    "Could not find platform independent libraries <prefix>": "pythonhome",
    "Consider setting $PYTHONHOME to <prefix>[:<exec_prefix>]": "pythonhome",
    "ImportError: /x/_fast.so: undefined symbol: PyObject_CallOneArg": "foreign-extension",
    "ImportError: /x/_fast.so: undefined symbol: _PyThreadState_GetCurrent": "foreign-extension",
    "SystemError: module _multiarray_umath uses unknown slot ID 3": "foreign-extension",
    "ImportError: dynamic module does not define module export function (PyInit__old)": (
        "foreign-extension"
    ),
    "numpy: Error importing numpy: you should not try to import numpy from": "foreign-extension",
    "ImportError: cannot import name '_errors' from partially initialized module 'h5py' (most "
    "likely due to a circular import) (/x/lib/python3.11/site-packages/h5py/__init__.py)": (
        "foreign-extension"
    ),
    "ModuleNotFoundError: No module named 'tomllib'": "no-toml-reader",
    "ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
    "Expected 96 from C header, got 88 from PyObject": "numpy-abi-1",
    "RuntimeError: module compiled against ABI version 0x1000009 but this version of numpy is "
    "0x2000000": "numpy-abi-1",
    "ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
    "Expected 88 from C header, got 96 from PyObject": "numpy-too-old",
    "RuntimeError: module compiled against API version 0x10 but this version of numpy is 0xf": (
        "numpy-too-old"
    ),
    "AttributeError: module 'numpy' has no attribute 'bool'.": "numpy-removed-name",
    "ImportError: /lib64/libstdc++.so.6: version `CXXABI_1.3.13' not found": "libstdcxx",
    "ImportError: /e/torch/lib/libtorch_cpu.so: undefined symbol: iJIT_NotifyEvent": (
        "torch-symbols"
    ),
    "ImportError: x.so: undefined symbol: _ZN3c106detail23torchInternalAssertFailE": (
        "torch-symbols"
    ),
    "ImportError: libc10.so: cannot open shared object file: No such file or directory": (
        "missing-library"
    ),
    "ModuleNotFoundError: No module named 'isaacsim'": "isaac-wrong-python",
    "ModuleNotFoundError: No module named 'isaacsim.simulation_app'": "isaac-wrong-python",
    "ModuleNotFoundError: No module named 'isaaclab'": "isaaclab-missing",
    "ModuleNotFoundError: No module named 'omni.isaac.core'": "isaac-renamed",
    "ModuleNotFoundError: No module named 'omni.isaac.kit'": "isaac-renamed",
    "ModuleNotFoundError: No module named 'omni.isaac'": "isaac-renamed",
    "ModuleNotFoundError: No module named 'isaacsim.core.objects'": "isaac-renamed",
    "ModuleNotFoundError: No module named 'isaacsim.core'": "isaac-before-app",
    "ModuleNotFoundError: No module named 'omni.kit.usd'": "isaac-before-app",
    "ModuleNotFoundError: No module named 'pxr'": "isaac-before-app",
    "  Do you accept the EULA? (Yes/No): ": "isaac-eula",
    "isthmus: the socket path in 'unix:/tmp/xxx' has 126 bytes; the system takes": (
        "socket-path-long"
    ),
    "OSError: [Errno 98] Address already in use": "address-in-use",
    "isthmus: 'unix:/tmp/a.sock' is in use by another process; stop it": "address-in-use",
    "ConnectionRefusedError: [Errno 111] Connection refused": "nobody-listens",
    "the link's interface is ed78747c5f4050de, that of policy 'reach' is f9f484f41bc5": (
        "interface-mismatch"
    ),
    "isthmus.errors.UpgradeError: this Python was built without eventfd": "no-memfd",
}


@pytest.mark.parametrize(("text", "expected"), VARIANTS.items(), ids=range(len(VARIANTS)))
def test_other_words_for_the_same(text: str, expected: str) -> None:
    assert ids(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\x00\x1b[",
        "step 12 reward 0.3\nepisode 3 done\nsaved to runs/demo",
        "import numpy\nimport omni.timeline  # needs SimulationApp\n",
        "Connected to tcp://127.0.0.1:5555, interface ed78747c",
        "PYTHONPATH=/opt/ros/humble/lib/python3.10/site-packages",
    ],
)
def test_says_nothing_about_what_is_fine(text: str) -> None:
    assert explain(text) == []


def test_names_the_line_the_file_and_the_part_that_differs() -> None:
    (match,) = explain(fault("foreign-stdlib").example)
    assert (match.line, match.number) == (SRE, 10)
    assert match.frame == "/home/user/isaacsim/kit/python/lib/python3.11/re/_compiler.py"
    (match,) = explain("a\nModuleNotFoundError: No module named 'onnxruntime'")
    assert (match.what, match.number, match.frame) == ("onnxruntime", 2, "")


def test_the_advice_is_for_the_version_that_was_asked_for() -> None:
    (match,) = explain("pyenv: python3.11: command not found")
    assert 'python = "3.11"' in match.fix and "pyenv global 3.11" in match.fix
    assert "3.12" not in match.fix


def test_a_forbidden_import_names_who_began_and_whose_rule_it_is() -> None:
    text = """\
  File "/x/isthmus/guard/hook.py", line 150, in find_spec
    raise refusal(frame, name, origin, why)
isthmus.errors.ForbiddenImportError: torch must not be imported in this process: forbid_import of \
[runtime.sim] in isthmus.toml forbids torch.
  main.py (/home/user/main.py:1)
  -> helper (/home/user/helper.py:3)
  -> torch"""
    (match,) = explain(text)
    assert match.frame == "/home/user/main.py"
    assert "`forbid_import` of `[runtime.sim]`" in match.fix
    assert "simulator" not in match.fix


def test_causes_come_before_consequences_wherever_they_stand() -> None:
    text = f"There was an error running python\nConnectionRefusedError: [Errno 111]\n{SRE}\n"
    assert ids(text) == ["foreign-stdlib", "nobody-listens", "isaac-python-sh"]


def test_of_two_causes_the_first_in_the_text_comes_first() -> None:
    home, shadow = fault("pythonhome").example, fault("same-minor-shadow").example
    assert ids(f"{home}\n{shadow}")[:2] == ["pythonhome", "same-minor-shadow"]
    assert ids(f"{shadow}\n{home}")[:2] == ["same-minor-shadow", "pythonhome"]


def test_a_line_is_explained_once() -> None:
    assert ids("ModuleNotFoundError: No module named 'isaacsim'") == ["isaac-wrong-python"]
    both = (
        "ModuleNotFoundError: No module named 'isaacsim'\nModuleNotFoundError: No module named 'x'"
    )
    assert ids(both) == ["isaac-wrong-python", "missing-module"]


def test_sees_through_colours_prefixes_and_carriage_returns() -> None:
    text = (
        "\x1b]0;title\x07\x1b[36msim     |\x1b[0m   0%\r\x1b[36msim     |\x1b[0m  50%\r\n"
        "\x1b[33mgateway |\x1b[0m \x1b[1;31mAssertionError\x1b[0m: "
        "SRE \x1b[4mmodule\x1b[0m mismatch\r\n"
    )
    (match,) = explain(text)
    assert match.fault.id == "foreign-stdlib"
    assert match.line == f"gateway | {SRE}"
    assert match.number == 3


def test_counts_the_lines_that_say_the_same() -> None:
    (match,) = explain(f"{SRE}\n" * 3)
    assert (match.count, match.number) == (3, 1)


def test_a_long_line_is_cut_around_what_was_found() -> None:
    record = '{"log": "' + "x" * 5000 + "\\n" + SRE + "\\n" + "y" * 5000 + '"}'
    (match,) = explain(record)
    assert SRE in match.line
    assert len(match.line) <= MAX_LINE
    assert match.line.startswith("...") and match.line.endswith("...")


def test_finds_one_line_in_megabytes() -> None:
    noise = 'sim | [12.3s] [ext: omni.usd-1.2] "lib" File "x.py", line 3, undefined\n' * 40_000
    assert ids(noise + SRE + "\n" + noise) == ["foreign-stdlib"]


@pytest.mark.parametrize(
    "part", ["\x1b]", "lib", "'", 'File "', "the interfaces of ", "cannot import name '", "tcp://"]
)
def test_repetition_in_one_line_does_not_stall_it(part: str) -> None:
    # A pattern that is quadratic in the line's length would take minutes here.
    assert explain(part * 100_000) == []


def test_a_fault_many_times_in_one_line_does_not_stall_it() -> None:
    (match,) = explain("first\n" + f"{SRE} " * 100_000)
    assert (match.number, match.count) == (2, 1)


def interpreters() -> list[Interpreter]:
    return newest_of_each_minor(find_interpreters())


def stdlib(interpreter: Interpreter) -> Path:
    return interpreter.path.parent.parent / "lib" / f"python{interpreter.minor}"


def words(interpreter: Interpreter, **variables: str) -> str:
    """What a Python says in an environment made to break it."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [str(interpreter.path), "-c", "import re, json, subprocess, numpy"],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def pairs() -> Iterator[tuple[Interpreter, Interpreter]]:
    usable = [each for each in interpreters() if (stdlib(each) / "os.py").is_file()]
    yield from permutations(usable, 2)


def test_names_what_every_pair_of_pythons_here_really_says() -> None:
    tried = list(pairs())
    if not tried:
        pytest.skip("needs two Pythons")
    for running, other in tried:
        library = f"{stdlib(other)}{os.pathsep}{stdlib(other) / 'lib-dynload'}"
        said = words(running, PYTHONPATH=library)
        assert ids(said)[0] == "foreign-stdlib", said
        said = words(running, PYTHONHOME=str(stdlib(other).parent.parent))
        assert ids(said)[0] == "pythonhome", said


def test_names_packages_of_another_python(
    oldest_python: Environment, newest_python: Environment
) -> None:
    if oldest_python.minor == newest_python.minor:
        pytest.skip("needs two Pythons")
    by_minor = {each.minor: each for each in interpreters()}
    for running, other in permutations((oldest_python, newest_python)):
        site = other.python.parent.parent / "lib" / f"python{other.minor}" / "site-packages"
        said = words(by_minor[running.minor], PYTHONPATH=str(site))
        assert ids(said)[0] == "foreign-extension", said
