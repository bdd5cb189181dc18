"""What cannot be answered: codes, details, and that nobody else is hurt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .first_clients import ZERO, Connection, ask, observe
from .first_files import dummy, moody_policy
from .processes import PATIENT, ROOT, Gateway, Starter

CODES = (
    "bad_json", "schema_violation", "policy_unavailable", "load_failed", "inference_failed",
    "unknown_type", "bad_admin_op",
)  # fmt: skip


WRONG: dict[str, tuple[str, dict[str, Any] | bytes]] = {
    "no json": ("bad_json", b"{nonsense}\n"),
    "no object": ("bad_json", b'{"type":"ping"]\n'),
    "not a number": ("bad_json", b'{"type":"obs","data":{"q":[NaN,0,0,0,0,0]}}\n'),
    "no type": ("schema_violation", {"data": {}}),
    "no data": ("schema_violation", {"type": "obs"}),
    "no q": ("schema_violation", {"type": "obs", "data": {"dq": [0.0] * 6}}),
    "an empty q": ("schema_violation", {"type": "obs", "data": {"q": []}}),
    "words in q": ("schema_violation", {"type": "obs", "data": {"q": ["a"] * 6}}),
    "q is no list": ("schema_violation", {"type": "obs", "data": {"q": 1.0}}),
    "too few q": ("schema_violation", {"type": "obs", "data": {"q": [0.0]}}),
    "no path": ("schema_violation", {"type": "load_policy"}),
    "another type": ("unknown_type", {"type": "dance"}),
    "another op": ("bad_admin_op", {"type": "admin", "op": "reboot"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_has_its_code_and_a_detail(gateway: Gateway, case: str) -> None:
    code, message = WRONG[case]
    answer = ask(gateway.address, message)
    assert (answer["type"], answer["error"]) == ("error", code), answer
    assert code in CODES and answer["detail"] and answer["corr_id"]
    assert gateway.ask({"type": "ping"})["type"] == "ack"


def test_a_schema_violation_names_the_field_and_what_came(gateway: Gateway) -> None:
    detail = gateway.ask(observe(0.0, 0.0, 0.0))["detail"]
    assert all(word in detail for word in ("'q'", "6", "3"))


def test_every_missing_field_is_named_and_what_the_policy_takes(starter: Starter) -> None:
    model = str(ROOT / "policies" / "reach.npz")
    gateway = starter.serve(model, *PATIENT, folder=starter.folder())
    detail = gateway.ask(observe(*ZERO))["detail"]
    assert "fields 'goal', 'tip_error' are missing; the policy takes q float32 (6,) rad, " in detail
    assert "goal float32 (3,) m" in detail


def test_an_error_on_a_connection_does_not_end_it(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(b"{nonsense}\n", {"type": "dance"}, {"type": "ping"})
        answers = [connection.hear() for _ in range(3)]
    assert [a.get("error", a["type"]) for a in answers] == ["bad_json", "unknown_type", "ack"]


def test_without_a_policy_policy_unavailable(starter: Starter) -> None:
    gateway = starter.script()
    answer = gateway.ask(observe(*ZERO, corr_id="u-1"))
    assert (answer["error"], answer["corr_id"]) == ("policy_unavailable", "u-1")
    assert gateway.ask({"type": "ping"})["type"] == "ack"
    gateway.ask({"type": "load_policy", "path": dummy(gateway.folder, 6)})
    assert gateway.ask(observe(*ZERO))["type"] == "action"
    assert gateway.stop() == 0


def test_what_cannot_be_loaded_load_failed(empty: Gateway) -> None:
    folder = empty.folder
    empty.ask({"type": "load_policy", "path": dummy(folder, 4)})
    bad = {
        "missing.json": None, "broken.json": "{", "other.json": '{"type":"quadratic"}',
        "short.json": '{"type":"linear_dummy"}', "negative.json":
        '{"type":"linear_dummy","action_dim":-1}', "no.onnx": "not a model", "no.pt": "no tensors",
        "no.pth": "no tensors", "no.zip": "no archive", "no.txt": "no policy",
    }  # fmt: skip
    for name, text in bad.items():
        if text is not None:
            (folder / name).write_text(text)
        answer = empty.ask({"type": "load_policy", "path": name, "corr_id": name})
        assert (answer["type"], answer["error"]) == ("error", "load_failed"), (name, answer)
        assert answer["corr_id"] == name
        assert name in answer["detail"]
    assert empty.ask(observe(*[0.0] * 4))["data"]["delta"] == [0.0] * 4  # the old one goes on


def test_a_path_outside_the_working_tree_is_not_opened(empty: Gateway, tmp_path: Path) -> None:
    outside = dummy(tmp_path, 2)
    answer = empty.ask({"type": "load_policy", "path": outside})
    assert answer["error"] == "load_failed"
    (empty.folder / "link.json").symlink_to(outside)
    answer = empty.ask({"type": "load_policy", "path": "link.json"})
    assert answer["error"] == "load_failed"


def test_a_policy_that_raises_inference_failed(starter: Starter) -> None:
    folder = starter.folder()
    gateway = starter.serve(*moody_policy(folder), *PATIENT, folder=folder)
    answer = gateway.ask(observe(7.0, 0.0, corr_id="i-1"))
    assert (answer["error"], answer["corr_id"]) == ("inference_failed", "i-1")
    assert "the gears are stuck" in answer["detail"]
    assert gateway.ask(observe(0.0, 0.0))["data"]["delta"] == pytest.approx([0.01, 0.01])
