"""Serving a foreign file: exported once, kept, and exported again when anything changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from threading import Thread

import pytest
from tests.support.bare import bare_model

from isthmus.contract import ActionField, Contract, Field
from isthmus.errors import PolicyLoadError
from isthmus.export import cache_folder, prepare
from isthmus.policy import load

from .conftest import FIXTURES

FIVE = Contract(
    "five",
    (Field("seen", (5,), "float32"),),
    (ActionField("move", (2,), "float32", semantics="velocity"),),
    20_000_000,
)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def copy(name: str, folder: Path) -> Path:
    return Path(shutil.copy(FIXTURES / name, folder))


def stamp(model: Path) -> int:
    return model.stat().st_ino


def test_a_second_time_nothing_is_done_but_what_was_assumed_is_told(
    cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy("ppo_tanh.zip", tmp_path)
    first = prepare(path, cache=cache)
    told = [record.getMessage() for record in caplog.records]
    assert told[1] == "ppo_tanh.zip, assumed: an action every 0.04 s" and len(told) == 2
    before = stamp(first)
    assert prepare(path, cache=cache) == first and stamp(first) == before
    assert [record.getMessage() for record in caplog.records] == told * 2
    policy = load(first)
    assert (policy.name, policy.kind) == ("ppo_tanh", "onnx")
    policy.close()
    assert [each.name for each in cache.iterdir()] == [first.parent.name]


def test_the_file_its_name_the_contract_and_the_statistics_decide(
    cache: Path, tmp_path: Path
) -> None:
    path = copy("td3.zip", tmp_path)
    found = {prepare(path, cache=cache, contract=FIVE)}
    path.write_bytes(path.read_bytes())
    assert prepare(path, cache=cache, contract=FIVE) in found
    named = path.rename(tmp_path / "other.zip")
    found.add(prepare(named, cache=cache, contract=FIVE))
    slower = Contract(FIVE.name, FIVE.observation, FIVE.action, 30_000_000)
    found.add(prepare(named, cache=cache, contract=slower))
    shutil.copy(FIXTURES / "ppo_relu.vecnormalize.pkl", tmp_path / "other.vecnormalize.pkl")
    found.add(prepare(named, cache=cache, contract=FIVE))
    shutil.copy(FIXTURES / "sac.zip", named)
    found.add(prepare(named, cache=cache, contract=FIVE))
    assert len(found) == len(list(cache.iterdir())) == 5


def test_statistics_beside_the_file_are_taken(cache: Path, tmp_path: Path) -> None:
    path = copy("ppo_relu.zip", tmp_path)
    with pytest.raises(PolicyLoadError, match=r"MODEL\.vecnormalize\.pkl"):
        prepare(path, cache=cache, contract=FIVE)
    copy("ppo_relu.vecnormalize.pkl", tmp_path)
    assert prepare(path, cache=cache, contract=FIVE).is_file()


def test_what_is_refused_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(PolicyLoadError):
        prepare(path, cache=cache)
    assert list(cache.iterdir()) == []


def test_half_an_export_is_made_whole(cache: Path, tmp_path: Path) -> None:
    path = copy("ppo_tanh.zip", tmp_path)
    model = prepare(path, cache=cache)
    model.with_name("ppo_tanh.manifest.json").unlink()
    assert prepare(path, cache=cache) == model
    load(model).close()


@pytest.mark.parametrize("name", ["ppo_tanh.onnx", "ppo_tanh.manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_export_is_made_anew(
    name: str, damage: str, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy("ppo_tanh.zip", tmp_path)
    file = prepare(path, cache=cache).with_name(name)
    data = file.read_bytes()
    flipped = bytes([data[0] ^ 1]) + data[1:]
    file.write_bytes({"cut": data[:-9], "flipped": flipped, "empty": b""}[damage])
    caplog.clear()
    load(prepare(path, cache=cache)).close()
    assert "is damaged" in caplog.text
    assert file.read_bytes() == data


def test_two_at_once_make_one_export(cache: Path, tmp_path: Path) -> None:
    path = copy("ppo_tanh.zip", tmp_path)
    found: list[Path] = []
    threads = [Thread(target=lambda: found.append(prepare(path, cache=cache))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 4
    load(found[0]).close()
    assert [each.name for each in cache.iterdir()] == [found[0].parent.name]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolicyLoadError, match="XDG_CACHE_HOME"):
        prepare(FIXTURES / "ppo_tanh.zip", cache=tmp_path / "file" / "cache")


def test_other_files_come_back_as_they_are(cache: Path) -> None:
    assert prepare(Path("m.onnx"), cache=cache) == Path("m.onnx")
    assert not cache.exists()


def test_an_onnx_model_without_a_manifest_is_kept_like_any_other(
    cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = bare_model(tmp_path / "arm.onnx", 5, 2)
    found = {prepare(path, cache=cache, contract=FIVE)}
    assert prepare(path, cache=cache, contract=FIVE) in found
    assert caplog.messages[0].startswith("arm.onnx, assumed: the model takes its input in physical")
    slower = Contract(FIVE.name, FIVE.observation, FIVE.action, 30_000_000)
    found.add(prepare(path, cache=cache, contract=slower))
    found.add(prepare(path.rename(tmp_path / "leg.onnx"), cache=cache, contract=FIVE))
    bare_model(path, 4, 2)
    found.add(prepare(path, cache=cache))
    assert len(found) == len(list(cache.iterdir())) == 4
    for model in found:
        load(model).close()
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("text", ["{", "", None], ids=["broken", "empty", "link to nothing"])
def test_a_manifest_that_cannot_be_used_is_never_passed_over(
    text: str | None, cache: Path, tmp_path: Path
) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    manifest = tmp_path / "arm.manifest.json"
    if text is None:
        manifest.symlink_to("nowhere")
    else:
        manifest.write_text(text)
    assert prepare(path, cache=cache) == path and not cache.exists()
    with pytest.raises(PolicyLoadError, match=r"arm\.manifest\.json"):
        load(path)


def test_a_link_does_not_lose_the_manifest_of_its_model(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "arm.manifest.json").write_text("{}")
    link = tmp_path / "current.onnx"
    link.symlink_to(bare_model(folder / "arm.onnx"))
    assert prepare(link, cache=cache) == link
    with pytest.raises(PolicyLoadError, match=r"current\.manifest\.json must lie beside it"):
        load(link)


def test_where_exports_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/isthmus/exports")
    assert cache_folder({"XDG_CACHE_HOME": "x", "HOME": "/h"}) == Path("/h/.cache/isthmus/exports")
    monkeypatch.setattr(os.path, "expanduser", lambda path: "/p" if path == "~" else path)
    assert cache_folder({}) == Path("/p/.cache/isthmus/exports")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(PolicyLoadError, match="XDG_CACHE_HOME"):
        cache_folder({})
