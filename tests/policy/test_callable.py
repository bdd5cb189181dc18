from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isthmus.errors import InferenceError, InterfaceMismatchError, PolicyLoadError
from isthmus.policy import Policy, allocate_action, allocate_observation, load
from isthmus.policy.callable import CallablePolicy
from isthmus.policy.constant import ConstantPolicy

SOURCE = """
import numpy as np
class Holder:
    contract = None
    def make(self):
        return lambda obs: {"delta": obs["q"] * 2.0}
holder = Holder()
def doubles():
    def policy(obs):
        return {"delta": obs["q"] * 2.0}
    return policy
def needs(argument):
    return argument
def breaks():
    raise OSError("no such checkpoint")
def number():
    return 7
NUMBER = 7
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = f"pilot_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def infer(policy, n=2):
    observation = allocate_observation(policy.contract, n)
    observation["q"][...] = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    action = allocate_action(policy.contract, n)
    policy.infer(observation, action, {}, {})
    return observation, action


def test_a_plain_function(module, contract):
    policy = load(f"{module}:doubles", contract=contract)
    for n in (2, 1, 5):
        observation, action = infer(policy, n)
        assert (action["delta"] == observation["q"] * 2).all()
    assert isinstance(policy, Policy)
    assert (policy.kind, policy.name) == ("callable", f"{module}:doubles")
    assert load(f"{module}:holder.make", contract=contract).digest != policy.digest
    assert load(f"{module}:doubles", contract=contract, name="x").name == "x"


def test_a_function_may_bring_its_contract_and_it_is_compared(contract, monkeypatch):
    function = lambda obs: {"delta": obs["q"]}  # noqa: E731
    function.contract = contract
    made = {"function": function, "policy": ConstantPolicy(contract)}
    monkeypatch.setattr("isthmus.policy.callable.import_module", lambda name: Fake(made))
    assert load("m:function").contract is contract
    assert load("m:policy") is made["policy"]
    for target in ("m:function", "m:policy"):
        with pytest.raises(InterfaceMismatchError):
            load(target, contract=replace(contract, control_dt_ns=1))


class Fake:
    def __init__(self, made):
        for name, value in made.items():
            setattr(self, name, lambda value=value: value)


REFUSALS = [
    ("doubles", "nobody said for which contract"),
    ("needs", "a factory takes no arguments"),
    ("breaks", "OSError: no such checkpoint"),
    ("number", "returned int, which is neither"),
    ("NUMBER", "is a int; expected a function"),
    ("absent", "has no attribute 'absent'; name a function of that module: .*doubles, needs"),
    ("double", "has no attribute 'double'; did you mean pilot_.*:doubles"),
    ("holder.absent", "has no attribute 'absent'; name a function of that module$"),
]


@pytest.mark.parametrize(("attribute", "message"), REFUSALS)
def test_factories_that_are_refused(module, attribute, message):
    with pytest.raises(PolicyLoadError, match=message):
        load(f"{module}:{attribute}")


@pytest.mark.parametrize("name", ["isthmus_no_such_module", "isthmus.no_such.module"])
def test_a_module_that_does_not_exist(name):
    with pytest.raises(PolicyLoadError, match="ModuleNotFoundError.*PYTHONPATH") as caught:
        load(f"{name}:f")
    assert "`pythonpath` of its [runtime.NAME]" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("my_polices:f", "did you mean my_policies:f?"),
        ("my_polices.arm:f", "did you mean my_policies.arm:f?"),
        ("my_packag:f", "did you mean my_package:f?"),
        ("my_policies.py:f", "leave out .py: my_policies:f"),
        ("my_policies.py", "as in my_policies:FUNCTION"),
        ("./my_policies.py", "as in my_policies:FUNCTION"),
        ("arms/left.py", "as in arms.left:FUNCTION"),
        ("/srv/left.py", "as in left:FUNCTION"),
    ],
)
def test_what_was_meant_is_named(tmp_path, monkeypatch, target, meant):
    (tmp_path / "my_policies.py").touch()
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyLoadError) as caught:
        load(target)
    assert str(caught.value).endswith(meant)


def test_only_a_module_that_is_not_found_asks_for_the_path(module, caplog):
    with pytest.raises(PolicyLoadError) as caught:
        load(f"{module}:absent")
    assert "PYTHONPATH" not in str(caught.value)
    assert caplog.records == []


@pytest.mark.parametrize("line", ["import isthmus_no_such_module", "1 / 0", "def f(: pass"])
def test_a_module_that_breaks_shows_where_in_the_local_log(tmp_path, monkeypatch, caplog, line):
    name = f"broken_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(f"\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PolicyLoadError, match="cannot be imported") as caught:
        load(f"{name}:f")
    assert "PYTHONPATH" not in str(caught.value)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("isthmus.policy", "ERROR")
    assert f'{name}.py", line 2' in caplog.text


def test_a_factory_that_raises_shows_where_in_the_local_log(module, caplog):
    with pytest.raises(PolicyLoadError) as caught:
        load(f"{module}:breaks")
    assert "in breaks" in caplog.text and f"{module}.py" in caplog.text
    assert "line" not in str(caught.value) and f"{module}.py" not in str(caught.value)
    # What it says is said once, by the error; that the call was wrong is said where it was.
    assert "OSError: " not in caplog.text
    assert str(caught.value) == f"{module}:breaks raised OSError: no such checkpoint"


ANSWERS = [
    (None, r"must answer a dict with the fields \['delta'\], got NoneType"),
    ({}, r"got \[\]"),
    ({"delta": np.zeros((2, 3), "f4"), "more": 1}, r"got \['delta', 'more'\]"),
    ({"delta": np.zeros(3, "f4")}, r"must be \(2, 3\).*got \(3,\)"),
    ({"delta": np.zeros((1, 3), "f4")}, r"must be \(2, 3\).*got \(1, 3\)"),
    ({"delta": [[1.0], [1.0, 2.0]]}, "is no array"),
    ({"delta": np.zeros((2, 3), "i8")}, "must be float32, got int64"),
    ({"delta": np.zeros((2, 3), object)}, "must be float32, got object"),
]


@pytest.mark.parametrize(("given", "message"), ANSWERS)
def test_answers_that_do_not_fit(contract, given, message):
    with pytest.raises(InferenceError, match=message):
        infer(CallablePolicy(lambda obs: given, contract))


def test_wider_floats_and_lists_are_cast(contract):
    _, action = infer(CallablePolicy(lambda obs: {"delta": [[0.5, 1e300, -1.0]] * 2}, contract))
    assert action["delta"].tolist() == [[0.5, np.inf, -1.0]] * 2


def test_what_it_raises_is_an_inference_error(contract):
    def policy(obs):
        raise RuntimeError("boom")

    with pytest.raises(InferenceError, match="RuntimeError: boom") as caught:
        infer(CallablePolicy(policy, contract))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_where_it_raised_is_logged_once_for_each_policy_and_told_to_nobody(contract, caplog):
    def policy(obs):
        raise RuntimeError("boom")

    for made in (CallablePolicy(policy, contract), CallablePolicy(policy, contract)):
        for _ in range(3):
            with pytest.raises(InferenceError) as caught:
                infer(made)
            assert "line" not in str(caught.value) and __file__ not in str(caught.value)
    assert [(r.name, r.levelname) for r in caplog.records] == [("isthmus.policy", "ERROR")] * 2
    assert caplog.text.count("in policy") == 2
