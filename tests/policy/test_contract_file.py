"""A contract from whatever file a user names, and one line where it holds none."""

from __future__ import annotations

import json
import os
import threading

import pytest

from isthmus.cli.main import main
from isthmus.contract.text import MAX_TEXT, dumps
from isthmus.errors import ContractError
from isthmus.policy.contract_file import read_contract


@pytest.fixture
def folder(tmp_path, monkeypatch, contract):
    """Every kind of file that is no contract, and two that lead to one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.json").write_text(dumps(contract))
    (tmp_path / "reach.onnx").write_bytes(b"\x08\x07\xff\xfe")
    manifest = {"kind": "onnx", "contract": contract.to_dict()}
    (tmp_path / "reach.manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "binary.json").write_bytes(b"\x08\x07\xff\xfe")
    (tmp_path / "lonely.onnx").write_bytes(b"\xff")
    (tmp_path / "huge.json").write_text(" " * (MAX_TEXT + 1))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["good.json", "reach.onnx", "reach.manifest.json"])
def test_what_leads_to_a_contract(folder, contract, name):
    assert read_contract(name) == contract
    assert read_contract(folder / name) == contract


WRONG = {
    "binary.json": "binary.json: expected UTF-8 text",
    "lonely.onnx": "a model with lonely.manifest.json beside it",
    "huge.json": f"huge.json is larger than {MAX_TEXT} bytes",
    "folder.json": "folder.json cannot be read: Is a directory",
    "folder": "folder: expected a .json or .toml file",
    "absent.json": "absent.json cannot be read: No such file",
    "absent": "absent: expected a .json or .toml file",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_is_one_line_of_ours(folder, capsys, name):
    with pytest.raises(ContractError, match=WRONG[name]):
        read_contract(name)
    assert main(["serve", "constant", "--contract", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("isthmus: ") and said.count("\n") == 1
    assert WRONG[name] in said


def test_a_pipe_of_the_shell_is_read(folder, contract):
    reader, writer = os.pipe()

    def write():
        with os.fdopen(writer, "w") as pipe:
            pipe.write(dumps(contract))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert read_contract(f"/dev/fd/{reader}") == contract
    finally:
        thread.join()
        os.close(reader)
