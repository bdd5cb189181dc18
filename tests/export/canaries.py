"""Pickles and archives that leave a file behind when anything in them runs."""

from __future__ import annotations

import base64
import io
import json
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAVED = b"\x80\x02ccollections\nOrderedDict\n)R."


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def touching(canary: Path) -> dict[str, bytes]:
    """Pickles that make `canary` when they are unpickled, by the way they do it."""
    import os
    import shutil

    command = f"touch {canary}"
    quoted = command.encode()
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    found = {
        f"reduce, protocol {protocol}": pickle.dumps(_Calls(os.system, command), protocol)
        for protocol in range(6)
    }
    shell = _Calls(subprocess.check_output, ["touch", str(canary)])
    found |= {
        "a list inside a call": pickle.dumps(shell),
        "builtins.eval": pickle.dumps(_Calls(eval, code)),
        "builtins.exec": pickle.dumps(_Calls(exec, code)),
        "a copy of a file": pickle.dumps(_Calls(shutil.copy, "/dev/null", str(canary))),
        "a pickle in a pickle": pickle.dumps(_Calls(pickle.loads, found["reduce, protocol 2"])),
        "deep inside": pickle.dumps({"a": [({"b": [_Calls(os.system, command)]},)]}),
        "as a key": pickle.dumps({_Tuple.of(os.system, command): 1}),
        "INST": b"(S'" + quoted + b"'\niposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\nS'" + quoted + b"'\no.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c"
        + bytes([len(quoted)]) + quoted + b"\x85R.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(lS'touch'\naS'" + str(canary).encode()
        + b"'\na\x85R.",
        "the state of an object": b"\x80\x02ctypes\nSimpleNamespace\n)\x81}(U\x01acposix\nsystem\nU"
        + bytes([len(quoted)]) + quoted + b"\x85Rub.",
        "after a dictionary": SAVED[:-1] + b"0cposix\nsystem\nU" + bytes([len(quoted)]) + quoted
        + b"\x85R.",
        "an item of an OrderedDict": SAVED[:-1] + b"(U\x01acposix\nsystem\nU"
        + bytes([len(quoted)]) + quoted + b"\x85Ru.",
    }  # fmt: skip
    return found


class _Tuple(tuple):  # type: ignore[type-arg]
    """A key that is made by a call."""

    @classmethod
    def of(cls, function: Callable[..., Any], *args: Any) -> _Tuple:
        made = cls()
        made.call = (function, args)  # type: ignore[attr-defined]
        return made

    def __reduce__(self) -> Any:
        return self.call  # type: ignore[attr-defined]


def archive(members: dict[str, bytes]) -> bytes:
    """A zip of these members."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return written.getvalue()


def members_of(path: Path | bytes) -> dict[str, bytes]:
    """What is in a zip."""
    with zipfile.ZipFile(io.BytesIO(path) if isinstance(path, bytes) else path) as file:
        return {name: file.read(name) for name in file.namelist()}


def torch_file(payload: bytes, like: bytes) -> bytes:
    """A file of torch.save with another pickle in it."""
    members = members_of(like)
    (name,) = (name for name in members if name.endswith("/data.pkl"))
    return archive({**members, name: payload})


def sb3_with(path: Path, payload: bytes) -> dict[str, bytes]:
    """Archives of Stable-Baselines3 with the payload in one place each."""
    members = members_of(path)
    data = json.loads(members["data"])
    found = {}
    for attribute in ("policy_class", "observation_space", "action_space", "policy_kwargs",
                      "_last_obs", "lr_schedule", "my_own"):  # fmt: skip
        evil = {":type:": "dict", ":serialized:": base64.b64encode(payload).decode()}
        text = json.dumps({**data, attribute: evil}).encode()
        found[f"data, {attribute}"] = archive({**members, "data": text})
    for name in ("policy.pth", "policy.optimizer.pth", "pytorch_variables.pth", "tensors.pth"):
        found[name] = archive({**members, name: payload})
        inside = torch_file(payload, members["policy.pth"])
        found[f"{name}, data.pkl"] = archive({**members, name: inside})
    return found


def torchscript_with(path: Path, payload: bytes) -> dict[str, bytes]:
    """TorchScript archives with the payload in one place each."""
    members = members_of(path)
    root = next(iter(members)).partition("/")[0]
    places = (f"{root}/data.pkl", f"{root}/constants.pkl")
    return {name: archive({**members, name: payload}) for name in places}
