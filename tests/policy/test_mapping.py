from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from isthmus.contract import ActionField, Contract, Field
from isthmus.policy import allocate_action, allocate_observation, allocate_state, load
from isthmus.policy.manifest_reader import parse_manifest
from isthmus.policy.mapping import MAX_SIZES, Buffers
from isthmus.policy.wiring import Tensor, wire

F4 = np.dtype("float32")


@pytest.fixture
def buffers(maker):
    def make(contract, concat, width, *, normalisation="none", bind=None):
        changes = {
            "contract": contract,
            "inputs": [{"tensor": "obs", "concat": concat}],
            "outputs": [{"tensor": "action", "field": contract.action[0].name}],
            "normalisation": normalisation,
        }
        manifest = parse_manifest(json.dumps(maker.manifest(**changes)).encode())
        out = Tensor((contract.action[0].width,), F4)
        wiring = wire(manifest, {"obs": Tensor((width,), F4)}, {"action": out})
        return Buffers(wiring, bind or (lambda rows: lambda observation: None))

    return make


SHAPES = Contract(
    name="shapes",
    observation=(
        Field("matrix", (3, 4), "float32"),
        Field("scalar", (), "float64"),
        Field("count", (2,), "int32"),
        Field("flag", (1,), "bool"),
        Field("cube", (2, 2, 2), "float16"),
    ),
    action=(ActionField("a", (2,), "float32", fallback="zero"),),
    control_dt_ns=1,
)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_fields_of_every_shape_land_in_their_columns(buffers, n):
    names = ["matrix", "scalar", "count", "flag", "cube"]
    rows = buffers(SHAPES, names, 24).rows(n)
    observation = allocate_observation(SHAPES, n)
    rng = np.random.default_rng(n)
    for array in observation.values():
        array[...] = rng.integers(0, 2, array.shape)
    rows.load(observation, {})
    flat = [observation[name].reshape(n, -1).astype("f4") for name in names]
    assert (rows.inputs["obs"] == np.concatenate(flat, axis=1)).all()


def test_blocks_grow_by_doubling_and_views_are_kept(buffers, contract):
    bound = []
    made = buffers(contract, ["q"], 3, bind=lambda rows: bound.append(rows) or bound.append)
    first = made.rows(1)
    assert made.rows(1) is first
    five, eight = made.rows(5), made.rows(8)
    assert np.shares_memory(five.inputs["obs"], eight.inputs["obs"])
    assert not np.shares_memory(first.inputs["obs"], eight.inputs["obs"])
    assert made.rows(1) is not first
    assert [len(rows.outputs["action"]) for rows in bound] == [1, 5, 8, 1]


def test_sizes_remembered_are_bounded(buffers, contract):
    bound = []
    made = buffers(contract, ["q"], 3, bind=lambda rows: bound.append(rows) or bound.append)
    made.rows(1024)
    for n in range(1, 3 * MAX_SIZES):
        made.rows(n)
    assert len(made._rows) == MAX_SIZES
    assert len({id(rows.inputs["obs"].base) for rows in bound}) == 1


def test_large_batches_do_not_repeat_constants(buffers, contract):
    statistics = {"obs": {"mean": [1, 2, 3], "std": 2, "clip": 3}}
    made = buffers(contract, ["q"], 3, normalisation=statistics)
    for n in (1, 20_000):
        rows, observation = made.rows(n), allocate_observation(contract, n)
        observation["q"][...] = [9, 2, -3]
        rows.load(observation, {})
        assert (rows.inputs["obs"] == np.array([3, 0, -3], "f4")).all()


def test_a_step_allocates_no_arrays(maker):
    n = 16_384  # The smallest array of a step would be three times the bound.
    policy = load(maker.mlp(normalisation={"obs": {"mean": 0, "std": 1}}))
    observation = allocate_observation(policy.contract, n)
    action = allocate_action(policy.contract, n)
    state = allocate_state(policy.initial_state(n))
    policy.infer(observation, action, state, state)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            policy.infer(observation, action, state, state)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64_000
    assert peak - before < 64_000
