"""The schema file is what the code says, and what really crosses fits it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.fields import FALLBACKS, SEMANTICS
from isthmus.contract.schema import SCHEMA_VERSION, schema_text
from isthmus.errors import ContractError
from isthmus.protocol.jsonlines import JsonCodec
from isthmus.protocol.messages import Action, Message, Observation, Outcome

FILE = Path(__file__).resolve().parents[1] / "configs" / "schemas" / "obs_action_schema.json"
KEYS = ("schema_version", "observation", "action", "joint_names", "action_scale_hint")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def test_the_file_is_generated_from_the_code() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), (
        "run `isthmus contract schema -o configs/schemas/obs_action_schema.json`"
    )


def test_the_file_has_the_keys_its_readers_look_for(schema: Mapping[str, Any]) -> None:
    for key in KEYS:
        assert key in schema
        assert key in schema["properties"]
    assert schema["schema_version"] == SCHEMA_VERSION
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    found = json.loads(FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def accepts(document: object, part: str = "") -> bool:
    """True if the whole schema, or one of its definitions, accepts the document."""
    asked = validator()
    if part:
        asked = asked.evolve(schema={"$ref": f"#/$defs/{part}"})
    return bool(asked.is_valid(document))


OBSERVATION = {"q": [0.1, 0.2], "dq": [0, 0], "sim_time": 1.5, "rand_hash": "ab"}
ACTION = {
    "action_version": 2,
    "delta": [0.01, -0.02],
    "ts_policy": 1700000000.25,
    "policy_latency_ms": 1.5,
    "profiling": {"preprocess_ms": 0.1, "infer_ms": 1.2},
    "policy_kind": "onnx",
    "action_dim": 2,
    "deadline_miss": False,
    "rand_hash": "ab",
    "rand_hash_mismatch": True,
    "expected_rand_hash": "cd",
    "joint_limit_clipped": True,
    "clipped_joint_indices": [0],
    "action_scale_hint": 0.5,
}
STEP = {
    "schema_version": 1,
    "observation": OBSERVATION,
    "action": ACTION,
    "joint_names": ["base", "elbow"],
    "action_scale_hint": [0.1, 0.2],
}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"action_scale_hint": 2}, True),
        ({"schema_version": 2}, False),
        ({"schema_version": None}, False),
        ({"joint_names": ["base", "base"]}, False),
        ({"joint_names": [""]}, False),
        ({"action_scale_hint": "x"}, False),
        ({"observation": {**OBSERVATION, "q": []}}, False),
        ({"observation": {**OBSERVATION, "q": ["0.1"]}}, False),
        ({"observation": {"goal": [[1.0, 2.0], [3.0, 4.0]], "flag": True}}, True),
        ({"action": {"action_version": 1, "delta": [0.1], "ts_policy": 1.0}}, True),
        ({"action": {"action_version": 1, "ts_policy": 1.0}}, False),
        ({"action": {"action_version": 2, "ts_policy": 1.0}}, True),
        ({"action": {"delta": [0.1]}}, False),
        ({"action": {**ACTION, "clipped_joint_indices": [-1]}}, False),
        ({"action": {**ACTION, "deadline_miss": 1}}, False),
    ],
)
def test_a_step_is_told_from_what_is_none(change: dict[str, Any], fits: bool) -> None:
    assert accepts({**STEP, **change}) is fits


@pytest.mark.parametrize("missing", ["schema_version", "observation", "action", "joint_names"])
def test_a_step_is_complete(missing: str) -> None:
    assert not accepts({key: value for key, value in STEP.items() if key != missing})


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ({"type": "obs", "data": OBSERVATION}, True),
        ({"type": "obs", "data": {"observation": OBSERVATION}}, True),
        ({"type": "obs", "data": OBSERVATION, "corr_id": "c1", "obs_version": 1, "seq": 4}, True),
        ({"type": "obs", "data": {"q": [], "dq": []}}, False),
        ({"type": "obs", "data": {"observation": {"q": []}}}, False),
        ({"type": "obs"}, False),
        ({"type": "action", "data": OBSERVATION}, False),
    ],
)
def test_an_obs_line_fits(message: object, fits: bool) -> None:
    assert accepts(message, "obs_message") is fits


def test_an_action_line_fits() -> None:
    assert accepts({"type": "action", "data": ACTION, "corr_id": "c1"}, "action_message")
    assert not accepts({"type": "obs", "data": ACTION}, "action_message")


REQUESTS: list[dict[str, Any]] = [
    {"type": "ping"},
    {"type": "obs", "data": OBSERVATION},
    {"type": "load_policy", "path": "a.onnx", "corr_id": "c"},
    {"type": "load_policy", "policy": "a.onnx"},
    {"type": "load_policy", "data": {"path": "a.onnx"}},
    {"type": "admin", "op": "flush_metrics"},
]
ANSWERS: list[dict[str, Any]] = [
    {"type": "ack", "ts": 1.5, "corr_id": "c"},
    {"type": "action", "data": ACTION, "corr_id": "c"},
    {"type": "load_policy_ack", "path": "a.onnx", "policy_kind": "onnx", "corr_id": "c"},
    {"type": "error", "error": "load_failed", "detail": "why", "corr_id": "c"},
    {"type": "admin_ack", "op": "flush_metrics", "updated_ts": 1.5, "corr_id": "c"},
    {"type": "counters", "data": {"deadline_miss": 0}},
]


@pytest.mark.parametrize("line", REQUESTS + ANSWERS, ids=lambda line: line["type"])
def test_a_line_is_a_request_or_an_answer_and_only_whole(line: dict[str, Any]) -> None:
    sides = {"request": line in REQUESTS, "answer": line in ANSWERS}
    assert {side: accepts(line, side) for side in sides} == sides
    for key in line.keys() - {"type", "corr_id"}:
        cut = {name: value for name, value in line.items() if name != key}
        assert not accepts(cut, "request") and not accepts(cut, "answer")


def contract(**action: Any) -> Contract:
    values = {
        "name": "delta",
        "shape": (2,),
        "dtype": "float32",
        "unit": "rad",
        "labels": ("a", "b"),
        "measured_position": "q",
        **action,
    }
    return Contract(
        "arm",
        (Field("q", (2,), "float32", "rad", ("a", "b")), Field("image", (4, 4, 3), "uint8")),
        (ActionField(**values),),
        40_000_000,
        limits={"delta": Limits(low=(-1.0, -1.0), max_rate=(1.0, 2.0))},
    )


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("fallback", [*FALLBACKS, ""])
def test_schema_and_code_agree_on_every_fallback(semantics: str, fallback: str) -> None:
    value = (0.5,) if fallback == "value" else ()
    parts = {"semantics": semantics, "fallback": fallback, "fallback_value": value}
    document = contract(semantics="delta").to_dict()
    document["action"][0].update({**parts, "fallback_value": list(value)})
    try:
        written = contract(**parts).to_dict()
    except ContractError:
        assert not accepts(document, "contract")
    else:
        assert accepts(document, "contract")
        assert accepts(written, "contract")


@pytest.mark.parametrize(
    "change",
    [
        {"contract_version": 2},
        {"control_dt_ns": 0},
        {"control_dt_ns": "40"},
        {"actuator": "virtual"},
        {"horizon": 2},
        {"observation": []},
        {"colour": "red"},
        {"limits": {"delta": {"max_rate": [0.0]}}},
        {"limits": {"delta": {"lowest": [0.0]}}},
        {"observation": [{"name": "q", "shape": [2], "dtype": "object"}]},
        {"observation": [{"name": "q", "shape": [0], "dtype": "float32"}]},
        {"observation": [{"name": "q", "shape": [2], "dtype": "float32", "unit": "radian"}]},
        {"observation": [{"name": "", "shape": [2], "dtype": "float32"}]},
    ],
)
def test_schema_and_code_refuse_alike(change: dict[str, Any]) -> None:
    document = {**contract(semantics="delta").to_dict(), **change}
    assert not accepts(document, "contract")
    with pytest.raises(ContractError):
        Contract.from_dict(document)


@pytest.mark.parametrize("num_envs", [1, 3])
def test_what_the_json_codec_writes_fits(num_envs: int) -> None:
    described = contract(semantics="delta")
    codec = JsonCodec()
    codec.bind(described, num_envs, asks=True)

    def zeros(fields: Iterable[Field]) -> dict[str, Any]:
        return {f.name: np.zeros((num_envs, *f.shape), f.numpy_dtype) for f in fields}

    def written(message: Message) -> Any:
        memory = bytearray(1 << 20)
        size = codec.encode(message, lambda size: memoryview(memory))
        return json.loads(memory[:size])

    hashes = {"rand_hash": "ab", "expected_rand_hash": "cd"}
    observation = Observation(zeros(described.observation), seq=1, sim_time=0.5, **hashes)
    answer = Action(zeros(described.action), seq=1, wall_ns=10**18, clipped=(1,), **hashes)
    miss = Action({}, seq=2, outcome=Outcome.MISS)
    assert accepts(written(observation), "obs_message")
    assert accepts(written(answer), "action_message")
    assert accepts(written(miss), "action_message")
    step = {
        "schema_version": SCHEMA_VERSION,
        "observation": written(observation)["data"],
        "action": written(answer)["data"],
        "joint_names": list(described.joint_names),
    }
    assert accepts(step)
