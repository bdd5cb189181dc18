"""Nothing in a file of a stranger runs, on any way by which a file becomes a policy."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import Error, MissingDependencyError, PolicyLoadError
from isthmus.export import Options, cache_folder, export_policy, prepare
from isthmus.policy import load

from .canaries import archive, members_of, sb3_with, torch_file, torchscript_with, touching
from .conftest import FIXTURES, HELD

WAYS = list(touching(Path("/nowhere")))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def test_every_canary_sings_when_it_is_unpickled(tmp_path: Path) -> None:
    """Else the tests below would show nothing."""
    for index, way in enumerate(WAYS):
        path = tmp_path / str(index)
        try:
            found = pickle.loads(touching(path)[way])
        except TypeError:
            found = None
        if hasattr(found, "wait"):
            found.wait()
        assert path.exists(), way


Way = Callable[[Path, Path], object]


def _export(path: Path, folder: Path) -> object:
    return export_policy(path, folder / "out.onnx", Options(naming=HELD))


def _prepare(path: Path, folder: Path) -> object:
    return prepare(path, cache=cache_folder({"XDG_CACHE_HOME": str(folder)}))


def _load(path: Path, folder: Path) -> object:
    return load(path)


def _read(path: Path, folder: Path) -> object:
    """Up to the missing fallback, which comes once all has been read: quicker than to the end."""
    return export_policy(path, folder / "out.onnx")


LOADS: dict[str, Way] = {"export": _read, "serve and load_policy": _prepare, "load": _load}


@pytest.mark.parametrize("load_way", LOADS)
@pytest.mark.parametrize("way", WAYS)
def test_no_load_path_runs_a_pickle(way: str, load_way: str, canary: Path, tmp_path: Path) -> None:
    payload = touching(canary)[way]
    files = {f"{index}.zip": data for index, data in
             enumerate(sb3_with(FIXTURES / "sac.zip", payload).values())}  # fmt: skip
    for index, data in enumerate(torchscript_with(FIXTURES / "script.pt", payload).values()):
        files[f"script{index}.pt"] = data
    files["module.pt"] = torch_file(payload, (FIXTURES / "state_dict.pth").read_bytes())
    for name in ("raw.pt", "raw.pth", "raw.zip", "raw.pkl", "raw.pickle", "raw.ckpt", "raw.joblib",
                 "raw.onnx", "raw.npz"):  # fmt: skip
        files[name] = payload
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        try:
            LOADS[load_way](path, tmp_path)
        except Error:
            pass
        assert not canary.exists(), name


@pytest.mark.parametrize("way", WAYS)
def test_where_it_is_looked_at_it_is_refused_and_elsewhere_never_opened(
    way: str, canary: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    opened = {}
    for place, data in sb3_with(FIXTURES / "sac.zip", touching(canary)[way]).items():
        path.write_bytes(data)
        try:
            _export(path, tmp_path)
            opened[place] = False
        except PolicyLoadError:
            opened[place] = True
    looked_at = ("data, policy_class", "data, observation_space", "data, action_space",
                 "data, policy_kwargs", "policy.pth", "policy.pth, data.pkl")  # fmt: skip
    assert opened == {place: place in looked_at for place in opened}


@pytest.mark.parametrize("way", WAYS)
def test_statistics_are_no_way_in(way: str, canary: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(touching(canary)[way])
    with pytest.raises(PolicyLoadError, match="evil.pkl"):
        export_policy(
            FIXTURES / "ppo_relu.zip",
            tmp_path / "x.onnx",
            Options(naming=HELD, vecnormalize=evil),
        )
    # and beside a file that is served
    served = tmp_path / "served.zip"
    served.write_bytes((FIXTURES / "ppo_relu.zip").read_bytes())
    evil.rename(tmp_path / "served.vecnormalize.pkl")
    with pytest.raises(PolicyLoadError, match="served.vecnormalize.pkl"):
        _prepare(served, tmp_path)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02\x83\x01\x00.", "EXT2"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x04\x8f.", "EMPTY_SET"),
        (b"cos\nsystem\n.", "'os.system'"),
        (b"ctorch.hub\nload\n.", "'torch.hub.load'"),
        (b"ctorch.serialization\nload\n.", "'torch.serialization.load'"),
        (b"cnumpy\nload\n.", "'numpy.load'"),
        (b"c__builtin__\neval\n.", "'__builtin__.eval'"),
        (b"\x80\x04\x8c\x02os\x8c\x0bsystem.func\x93.", "'os.system.func'"),
    ],
)
def test_what_tensors_are_not_made_of_is_refused_by_name(
    payload: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    members = members_of(FIXTURES / "sac.zip")
    weights = torch_file(payload, members["policy.pth"])
    path.write_bytes(archive({**members, "policy.pth": weights}))
    with pytest.raises(PolicyLoadError, match=message):
        _export(path, tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("    torch.save(x, 'f')", "torch.save"),
        ("    y = torch.from_file('f', True, 3)", "torch.from_file"),
        ("    y = ops.aten.from_file('f', True, 3)", "ops.aten.from_file"),
        ("    y = ops.profiler._record_function_enter('f')", "ops.profiler"),
        ("    y = __torch__.torch.classes.quantized.Linear(x)", "torch.classes"),
        ("    y = torch.rand([2])", "torch.rand"),
        ("    y = open('f', 'w')", "open"),
        ("    _9 = open\n    y = _9('f', 'w')", "_9"),
        ("    _9 = __torch__.f\n    _9 = open\n    y = _9('f', 'w')", "_9"),
        ("    _9 = open\n    y = _9('f')\n    _9 = __torch__.f", "_9"),
        ("    _9 = __torch__.torch.classes.quantized.Linear\n    y = _9(x)", "_9"),
        ('    y = torch.div(x, 2., rounding_mode="trunc")', "rounding_mode"),
        ("    y = torch.atan2(x, x)", "torch.atan2"),
        ("    y = eval('1')", "eval"),
        ("    y = __import__('os')", "__import__"),
        ("  def __setstate__(self, state: int) -> NoneType:\n    return None", "__setstate__"),
        ("    this is no code", "no TorchScript that is read"),
    ],
)
def test_code_of_torchscript_is_read_before_torch_is_even_imported(
    code: str, message: str, tmp_path: Path
) -> None:
    members = members_of(FIXTURES / "script.pt")
    name = next(name for name in members if name.endswith("code/__torch__.py"))
    members[name] += code.encode() + b"\n"
    path = tmp_path / "x.pt"
    path.write_bytes(archive(members))
    with pytest.raises(PolicyLoadError, match=message):
        _export(path, tmp_path)


def test_the_fixture_s_own_code_passes(tmp_path: Path) -> None:
    """Up to the point where torch is needed, which is not here, or further."""
    try:
        _export(FIXTURES / "script.pt", tmp_path)
    except MissingDependencyError as exc:
        assert "torch" in str(exc)
    else:
        assert (tmp_path / "out.onnx").exists()


def test_a_state_dict_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match=r"net.0.weight \(16, 6\).*torch.jit.script"):
        _export(FIXTURES / "state_dict.pth", tmp_path)


def test_external_data_is_refused_beside_a_foreign_file_too(tmp_path: Path) -> None:
    """The one way into a gateway that is left, a model and its manifest, is as narrow as before."""
    onnx = pytest.importorskip("onnx")
    export_policy(FIXTURES / "sac.zip", tmp_path / "m.onnx", Options(naming=HELD))
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0,
              location="weights.bin")  # fmt: skip
    _repin(tmp_path / "m.onnx")
    with pytest.raises(PolicyLoadError, match="external data"):
        load(tmp_path / "m.onnx")


def _repin(model: Path) -> None:
    import hashlib
    import json

    path = model.with_name(f"{model.stem}.manifest.json")
    manifest: dict[str, Any] = json.loads(path.read_text())
    manifest["sha256"] = hashlib.sha256(model.read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))
