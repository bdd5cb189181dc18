"""What a simulator may hand over, and how it is told that it may not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from isthmus import Contract, Field
from isthmus.client.observer import Observer
from isthmus.errors import ContractError, ObservationError

from ..support.contracts import SPEED, pair
from ..support.gateways import Served


class Tensor:
    """Like a tensor of PyTorch: no array interface, only DLPack."""

    def __init__(self, values: Any) -> None:
        self._array = np.array(values, np.float32)
        self.calls: list[str] = []

    def detach(self) -> Tensor:
        self.calls.append("detach")
        return self

    def cpu(self) -> Tensor:
        self.calls.append("cpu")
        return self

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("tensors are taken by DLPack")


class OnADevice(Tensor):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("it is on a device")


GOOD: dict[str, Callable[[], Any]] = {
    "list": lambda: [0.5, 0.25],
    "tuple": lambda: (0.5, 0.25),
    "float32": lambda: np.array([0.5, 0.25], np.float32),
    "float64": lambda: np.array([0.5, 0.25]),
    "big endian": lambda: np.array([0.5, 0.25], ">f4"),
    "strided": lambda: np.array([0.5, 9, 0.25, 9], np.float32)[::2],
    "read only": lambda: np.frombuffer(np.array([0.5, 0.25], np.float32).tobytes(), np.float32),
    "subclass": lambda: np.array([0.5, 0.25], np.float32).view(np.recarray),
    "read-only subclass": lambda: np.frombuffer(
        np.array([0.5, 0.25], np.float32).tobytes(), np.float32
    ).view(np.recarray),
    "tensor": lambda: Tensor([0.5, 0.25]),
}

BAD: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "too short": (lambda: {"q": [1.0]}, ("(2,)", "(1,)")),
    "too long": (lambda: {"q": [1.0, 2.0, 3.0]}, ("(2,)", "(3,)")),
    "a leading axis": (lambda: {"q": [[1.0, 2.0]]}, ("(2,)", "(1, 2)")),
    "a number": (lambda: {"q": 1.0}, ("(2,)", "()")),
    "nothing": (lambda: {}, ("missing q", "It has q")),
    "another name": (lambda: {"q": [1, 2], "qd": [1, 2]}, ("unknown qd",)),
    "names of many kinds": (lambda: {"q": [1, 2], 7: 1, "x": 2}, ("unknown", "7", "x")),
    "none": (lambda: {"q": None}, ("'q'", "None", "not ready")),
    "text": (lambda: {"q": ["a", "b"]}, ("expected numbers",)),
    "one text": (lambda: {"q": "ab"}, ("expected numbers",)),
    "objects": (lambda: {"q": np.array([1, None])}, ("float32", "object")),
    "complex": (lambda: {"q": np.array([1j, 2])}, ("float32", "complex128")),
    "ragged": (lambda: {"q": [[1], [1, 2]]}, ("'q'",)),
    "dates": (lambda: {"q": np.zeros(2, "M8[s]")}, ("float32", "datetime64")),
    "on a device": (lambda: {"q": OnADevice([1, 2])}, ("OnADevice", "on a device")),
    "no mapping": (lambda: np.zeros(2), ("ndarray",)),
}


@pytest.mark.parametrize("name", GOOD)
def test_it_is_taken(served: Served, name: str) -> None:
    with served.connect() as link:
        for _ in range(2):
            assert link.act(q=GOOD[name]())["speed"].tolist() == [0.25, 0.125]


def test_a_tensor_is_detached_and_brought_home_first(served: Served) -> None:
    tensor = Tensor([1, 2])
    with served.connect() as link:
        link.act(q=tensor)
    assert tensor.calls == ["detach", "cpu"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
def test_it_is_refused_and_the_link_lives_on(served: Served, name: str, pacing: str) -> None:
    make, words = BAD[name]
    with served.connect(pacing=pacing) as link:
        with pytest.raises(ObservationError) as caught:
            link.act(make())
        for word in words:
            assert word in str(caught.value)
        assert link.act(q=[1.0, 2.0]).status == "policy"
        assert link.stats()["reconnects"] == 0


def integers(dtype: str) -> Observer:
    contract = Contract("whole", (Field("n", (2,), dtype),), (SPEED,), 20_000_000)
    return Observer(contract, None, None)


@pytest.mark.parametrize(
    "dtype,array",
    [
        ("uint8", np.array([1, 2])),
        ("int32", np.array([1.0, 2.0])),
        ("bool", np.array([1, 0])),
    ],
)
def test_what_would_lose_its_meaning_is_refused(dtype: str, array: Any) -> None:
    with pytest.raises(ObservationError, match=f"expected {dtype}, got {array.dtype}"):
        integers(dtype).arrays({"n": array})


@pytest.mark.parametrize("dtype,value", [("int8", 300), ("int32", 2**40), ("uint8", 256)])
def test_a_whole_number_is_never_wrapped_around(dtype: str, value: int) -> None:
    wide = np.array([0, value], "uint64" if dtype[0] == "u" else "int64")
    with pytest.raises(ObservationError, match=str(value)):
        integers(dtype).arrays({"n": wide})
    narrow = integers(dtype).arrays({"n": wide // value})
    assert narrow["n"].tolist() == [[0, 1]]


def test_a_number_too_large_for_the_dtype_is_no_observation(served: Served) -> None:
    with served.connect() as link, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert link.act(q=[1, 1]).status == "policy"
        action = link.act(q=np.array([1e300, 0.0]))
        assert (action.status, action.cause) == ("bridged", "observation")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("codec", ["binary", "json"])
def test_not_finite(served: Served, value: float, codec: str) -> None:
    with served.connect(codec=codec) as link:
        assert link.act(q=[value, 0]).status == "disarmed"
        assert link.act(q=[1, 1]).status == "policy"
        action = link.act(q=[value, 0])
        assert (action.status, action.cause) == ("bridged", "observation")
        assert action["speed"].tolist() == [0.0, 0.0]
        assert link.act(q=[1, 1]).status == "policy"
        assert link.stats()["reconnects"] == 0
    with served.connect(codec=codec, pacing="lockstep") as link:
        with pytest.raises(ObservationError, match="NaN or infinity"):
            link.act(q=[value, 0])
        assert link.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("moment", [np.nan, np.inf, -np.inf, 1e300, -1.0])
def test_any_simulation_time(served: Served, codec: str, moment: float) -> None:
    with served.connect(codec=codec) as link:
        for _ in range(3):
            assert link.act(q=[1, 1], sim_time=moment).status == "policy"


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("rand_hash", ["x" * 257, b"ab", 7])
def test_a_hash_that_cannot_cross(served: Served, codec: str, rand_hash: Any) -> None:
    with served.connect(codec=codec) as link:
        with pytest.raises(ObservationError, match="rand_hash"):
            link.act(q=[1, 1], rand_hash=rand_hash)
        assert link.act(q=[1, 1]).status == "policy"


@pytest.mark.parametrize("deadline", [0.0, -1.0, np.nan, np.inf, 1e9])
def test_a_deadline_that_is_none(served: Served, deadline: float) -> None:
    with served.connect() as link:
        with pytest.raises(ContractError, match="deadline"):
            link.act(q=[1, 1], deadline=deadline)
        assert link.act(q=[1, 1]).status == "policy"


def test_a_scalar_field() -> None:
    from ..support.gateways import serving
    from ..support.policies import policy

    contract = pair()
    scalar = Contract(
        "scalar", (Field("q", (), "float32"),), (contract.action[0],), contract.control_dt_ns
    )

    def both(observation: dict[str, Any]) -> dict[str, Any]:
        return {"speed": np.repeat(observation["q"][:, None], 2, 1)}

    with serving(policy(both, scalar)) as served, served.connect() as link:
        assert link.act(q=0.5)["speed"].tolist() == [0.5, 0.5]
        assert link.act(q=np.float32(0.5))["speed"].tolist() == [0.5, 0.5]
