from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isthmus.cli import contract as command
from isthmus.cli.main import command_parser, main
from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.schema import schema_text
from isthmus.contract.text import dumps, loads

URDF = """<robot name="two"><joint name="a" type="revolute">
<limit lower="-1" upper="1" velocity="2" effort="3"/></joint></robot>"""


@pytest.fixture
def arm() -> Contract:
    return Contract(
        "arm",
        (Field("q", (2,), "float32", "rad", ("a", "b")),),
        (
            ActionField(
                "delta",
                (2,),
                "float32",
                "rad",
                ("a", "b"),
                semantics="delta",
                measured_position="q",
            ),
        ),
        40_000_000,
        limits={"delta": Limits(low=(-1.0, -1.5), max_rate=(4.0, 3.0))},
        robot_id="arm-1",
    )


@pytest.fixture
def file(tmp_path: Path, arm: Contract) -> Path:
    path = tmp_path / "arm.json"
    path.write_text(dumps(arm), encoding="utf-8")
    return path


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """What an action that fails says: one line of ours, status 2."""
    assert main(["contract", *map(str, argv)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("isthmus: ")
    return printed.err


class TestShow:
    """`show FILE|MODEL`."""

    def test_a_file_is_shown_with_both_hashes(
        self, file: Path, arm: Contract, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["contract", "show", str(file)]) == 0
        text = capsys.readouterr().out
        for part in (
            arm.interface_hash,
            arm.limits_hash,
            "contract arm, robot arm-1",
            "0.04 s (25 Hz)",
            "delta from the target, measured by q, fallback zero",
        ):
            assert part in text
        rows = [line.split() for line in text.splitlines()]
        assert ["q", "float32", "(2,)", "rad", "a,", "b"] in rows
        assert ["b", "-1.5", "3"] in rows

    def test_no_limits_are_shown_as_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        labels = tuple(f"j{index}" for index in range(20))
        field = ActionField("a", (20,), "float32", fallback="value", fallback_value=(0.5,))
        contract = Contract("", (Field("q", (20,), "float32", "", labels),), (field,), 1)
        path = tmp_path / "c.json"
        path.write_text(dumps(contract), encoding="utf-8")
        assert main(["contract", "show", str(path)]) == 0
        text = capsys.readouterr().out
        assert "no limits" in text
        assert "and 12 more" in text
        assert "fallback value 0.5" in text

    def test_a_manifest_and_the_model_beside_it_are_shown(
        self, tmp_path: Path, arm: Contract, capsys: pytest.CaptureFixture[str]
    ) -> None:
        manifest = tmp_path / "reach.manifest.json"
        manifest.write_text(json.dumps({"kind": "onnx", "contract": arm.to_dict()}))
        for path in (manifest, tmp_path / "reach.onnx"):
            assert main(["contract", "show", str(path)]) == 0
            assert arm.interface_hash in capsys.readouterr().out

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has no tomllib")
    def test_toml_is_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "c.toml"
        path.write_text(
            "control_dt_ns = 1\n"
            '[[observation]]\nname = "q"\nshape = []\ndtype = "bool"\n'
            '[[action]]\nname = "a"\nshape = []\ndtype = "bool"\nfallback = "zero"\n'
        )
        assert main(["contract", "show", str(path)]) == 0
        assert "(unnamed)" in capsys.readouterr().out

    def test_what_is_no_contract_is_one_line_naming_the_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "c.json"
        assert "c.json cannot be read: No such file" in refused(capsys, "show", path)
        path.write_text("{")
        assert "c.json: no valid json" in refused(capsys, "show", path)
        path.write_text('{"contract": 7}')
        assert "c.json: contract: expected an object" in refused(capsys, "show", path)
        path.write_text(" " * (1 << 20) + "{}")
        assert "larger than 1048576 bytes" in refused(capsys, "show", path)
        assert "cannot be read" in refused(capsys, "show", tmp_path.with_suffix(".json"))
        text = refused(capsys, "show", tmp_path / "reach.onnx")
        assert "a model with reach.manifest.json beside it" in text


class TestDiff:
    """`diff A B`."""

    def test_the_same_is_status_0(
        self, file: Path, arm: Contract, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["contract", "diff", str(file), str(file)]) == 0
        assert arm.interface_hash in capsys.readouterr().out

    def test_another_interface_is_status_1_and_names_both_files(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = tmp_path / "other.json"
        other.write_text(file.read_text().replace("40000000", "20000000"))
        for flags in ([], ["--interface"]):
            assert main(["contract", "diff", str(file), str(other), *flags]) == 1
            text = capsys.readouterr().out
            assert "control_dt" in text
            assert f"{file}: 40000000 ns (25 Hz) | {other}: 20000000 ns (50 Hz)" in text

    def test_other_limits_are_no_other_interface(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = tmp_path / "other.json"
        other.write_text(file.read_text().replace("-1.5", "-1.25"))
        assert main(["contract", "diff", str(file), str(other)]) == 1
        assert "[-1.0, -1.5]" in capsys.readouterr().out
        assert main(["contract", "diff", str(file), str(other), "--interface"]) == 0
        assert "the same interface" in capsys.readouterr().out


class TestFromUrdf:
    """`from-urdf FILE`."""

    def test_a_contract_is_printed_or_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        urdf = tmp_path / "two.urdf"
        urdf.write_text("\ufeff" + URDF, encoding="utf-8")
        argv = ["contract", "from-urdf", str(urdf), "--control-dt", "0.04"]
        assert main(argv) == 0
        printed = capsys.readouterr().out
        assert loads(printed).action[0].labels == ("a",)
        assert main([*argv, "--semantics", "position", "-o", str(tmp_path / "c.json")]) == 0
        assert capsys.readouterr().out == ""
        written = loads((tmp_path / "c.json").read_text(encoding="utf-8"))
        assert written.action[0].fallback == "hold"

    def test_a_fault_names_the_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        urdf = tmp_path / "bad.urdf"
        argv = ("from-urdf", urdf, "--control-dt", "0.04")
        assert "bad.urdf cannot be read" in refused(capsys, *argv)
        urdf.write_text(URDF.replace("revolute", "hinge"))
        assert "bad.urdf: URDF: joint 'a': type 'hinge'" in refused(capsys, *argv)
        urdf.write_bytes(b"\xff\xfe")
        assert "bad.urdf: expected UTF-8" in refused(capsys, *argv)
        urdf.write_text(URDF)
        where = tmp_path / "absent" / "c.json"
        assert "cannot be written: No such file" in refused(capsys, *argv, "-o", where)

    def test_a_missing_file_is_named_once(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = refused(capsys, "from-urdf", tmp_path / "nope.urdf", "--control-dt", "0.04")
        assert text.count("nope.urdf") == 1

    def test_a_wrong_choice_names_its_option(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        urdf = tmp_path / "two.urdf"
        urdf.write_text(URDF)
        argv = ("from-urdf", urdf, "--control-dt", "0.04", "--semantics", "position")
        text = refused(capsys, *argv, "--fallback", "zero")
        assert "use one of hold, robot; the option is --fallback" in text
        assert "--control-dt" in refused(capsys, "from-urdf", urdf, "--control-dt", "0")

    def test_a_fallback_that_needs_numbers_is_not_offered(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["contract", "from-urdf", "x", "--control-dt", "1", "--fallback", "value"])
        assert "invalid choice: 'value'" in capsys.readouterr().err


class FakeEnv:
    """As much of a Gymnasium environment as is asked for."""

    def __init__(self, contract: Contract | None = None, dt: float | None = None) -> None:
        spaces = pytest.importorskip("gymnasium.spaces")
        box = spaces.Box(-0.1, 0.1, (2,), np.float32)
        self.observation_space = spaces.Dict({"q": box})
        self.action_space = box
        self.metadata = {"render_fps": 20}
        own = {"contract": contract, "dt": dt}
        self.unwrapped = SimpleNamespace(**{k: v for k, v in own.items() if v is not None})
        self.closed = False

    def close(self) -> None:
        self.closed = True


class TestFromGym:
    """`from-gym ID`."""

    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Lets gymnasium.make return the environment given."""
        gymnasium = pytest.importorskip("gymnasium")

        def use(env: FakeEnv) -> FakeEnv:
            monkeypatch.setattr(gymnasium, "make", lambda id, **options: env)
            return env

        return use

    def test_the_options_describe_the_action(
        self, make: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        env = make(FakeEnv(dt=0.05))
        options = {
            "--semantics": "delta",
            "--measured-position": "action=q",
            "--unit": "action=rad",
            "--labels": "action=a,b",
        }
        argv = [word for pair in options.items() for word in pair]
        assert main(["contract", "from-gym", "Fake-v0", *argv]) == 0
        contract = loads(capsys.readouterr().out)
        assert contract.name == "Fake-v0"
        assert contract.control_dt_ns == 50_000_000
        action = contract.action[0]
        assert (action.semantics, action.unit, action.labels) == ("delta", "rad", ("a", "b"))
        np.testing.assert_allclose(contract.limits["action"].max_rate or (), 2.0, rtol=1e-6)
        assert env.closed

    def test_an_environments_own_contract_is_taken(
        self, make: Any, arm: Contract, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make(FakeEnv(contract=arm))
        assert main(["contract", "from-gym", "Fake-v0"]) == 0
        assert loads(capsys.readouterr().out) == arm
        for options in (["--semantics", "delta"], ["--control-dt", "0.1"]):
            text = refused(capsys, "from-gym", "Fake-v0", *options)
            assert "states its own contract" in text

    def test_what_the_spaces_do_not_say_is_asked_for(
        self, make: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        env = make(FakeEnv())
        text = refused(capsys, "from-gym", "Fake-v0")
        assert "add --control-dt SECONDS (it is drawn 20 times a second, so perhaps 0.05)" in text
        assert env.closed
        text = refused(capsys, "from-gym", "Fake-v0", "--control-dt", "0.05")
        assert "must name its fallback" in text

    @pytest.mark.parametrize("labels", [["action"], ["action=a,b", "action=a,b"]])
    def test_options_by_field_are_understood_once(
        self, make: Any, capsys: pytest.CaptureFixture[str], labels: list[str]
    ) -> None:
        make(FakeEnv(dt=0.1))
        argv = [word for each in labels for word in ("--labels", each)]
        text = refused(capsys, "from-gym", "Fake-v0", "--fallback", "zero", *argv)
        assert "labels: expected FIELD=VALUE once for each field" in text

    def test_errors_name_the_option(self, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
        make(FakeEnv(dt=0.1))
        wrong = {
            (): "the option is --fallback, which takes hold, zero, robot (`value` needs numbers",
            ("--fallback=decay",): "the option is --fallback, which takes hold, zero, robot (",
            ("--semantics=position",): "--measured-position",
            ("--semantics=delta", "--reference=measured"): "--reference, --measured-position",
            ("--fallback=zero", "--measured-velocity=absent"): "the option is --measured-velocity",
            ("--fallback=zero", "--unit=absent=rad"): "the option is --unit",
            ("--fallback=value",): "--fallback value: expected one of hold, zero, decay, robot; "
            "write a `value` into the contract's file",
            ("--fallback=action=none",): "--fallback none: expected one of hold, zero",
            ("--fallback=zero", "--control-dt=0"): "the option is --control-dt",
        }
        for options, words in wrong.items():
            text = refused(capsys, "from-gym", "Fake-v0", *options)
            assert words in text, text

    def test_a_module_is_imported_first(
        self, make: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make(FakeEnv(dt=0.1))
        argv = ("from-gym", "Fake-v0", "--import", "no_such_module")
        assert "no_such_module cannot be imported" in refused(capsys, *argv)

    def test_a_real_environment_is_described(self, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("gymnasium")
        options = ["--control-dt", "0.02", "--fallback", "zero"]
        assert main(["contract", "from-gym", "CartPole-v1", *options]) == 0
        assert loads(capsys.readouterr().out).action[0].dtype == "int64"

    def test_an_unknown_environment_says_what_to_do(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("gymnasium")
        text = refused(capsys, "from-gym", "NoSuch-v0")
        assert "NoSuch" in text and "--import MODULE" in text

    def test_without_gymnasium_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "gymnasium", None)
        text = refused(capsys, "from-gym", "CartPole-v1")
        assert "`pip install gymnasium` in this Python" in text
        assert 'add "gymnasium" to `requirements` of its [runtime.NAME]' in text


def test_the_schema_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "schema"]) == 0
    assert capsys.readouterr().out == schema_text()
    assert main(["contract", "schema", "-o", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == schema_text()


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["contract"])
    assert "ACTION" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["", *command._ACTIONS])
def test_every_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["contract", *filter(None, [action]), "--help"])
    assert "usage: isthmus contract" in capsys.readouterr().out


def test_every_option_says_what_it_is_for() -> None:
    parser = command_parser("contract")
    (nested,) = [each for each in parser._actions if isinstance(each.choices, dict)]
    assert nested.choices is not None
    silent = [
        (name, option.dest)
        for name, each in dict(nested.choices).items()
        for option in each._actions
        if not option.help
    ]
    assert silent == []


def test_showing_a_contract_loads_no_simulator_and_no_model_runtime(file: Path) -> None:
    program = (
        "import sys; from isthmus.cli.main import main; main(sys.argv[1:]); "
        "sys.exit(any(name in sys.modules for name in ('gymnasium', 'mujoco', 'onnxruntime')))"
    )
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", program, "contract", "show", str(file)],
        env={"PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == 0
