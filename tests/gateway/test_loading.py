"""Policies that clients name: what may be loaded, and what becomes of who is connected."""

from __future__ import annotations

import os
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Contract, Field, Limits
from isthmus.errors import PolicyLoadError
from isthmus.gateway import Settings, doorway, loading
from isthmus.gateway.housekeeping import Housekeeper
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.loading import Loader
from isthmus.policy import load
from isthmus.policy.base import Policy
from isthmus.policy.callable import CallablePolicy

from ..support.contracts import SPEED, pair
from ..support.gateways import ROOT, Served, serving
from ..support.peers import RawPeer
from ..support.policies import Arrays, Summing, half, policy

TRIPLE = Contract(
    name="triple",
    observation=(Field("q", (3,), "float32", "rad"),),
    action=(replace(SPEED, shape=(3,), labels=()),),
    control_dt_ns=20_000_000,
)
LIMITED = pair(limit=Limits(low=(-0.25, -0.25), high=(0.25, 0.25)))


class Models:
    """A folder of models: the text of a file says what it does.

    `times K` answers K times q; `slow` takes longer than any deadline; `raises` cannot answer;
    `three` is made for three joints; `limited` has limits; `sum` remembers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closed: list[str] = []
        self.loading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, text: str, name: str = "") -> str:
        """A model's path."""
        path = self.folder / (name or f"{text.replace(' ', '-')}.model")
        path.write_text(text)
        return str(path)

    def load(self, path: Path) -> Policy:
        """What `Loader` is given."""
        self.loading.set()
        assert self.go_on.wait(30)
        word, _, rest = path.read_text().partition(" ")
        if word not in ("times", "slow", "raises", "three", "limited", "sum"):
            raise PolicyLoadError(f"{path.name}: expected a model, got {word!r}")
        if word == "sum":
            return Summing(pair())
        contract = {"three": TRIPLE, "limited": LIMITED}.get(word, pair())
        return self._policy(word, contract, float(rest or 1), path.stem)

    def _policy(self, word: str, contract: Contract, factor: float, name: str) -> Policy:
        def infer(observation: Arrays) -> Arrays:
            if word == "raises":
                raise RuntimeError("broken inside")
            if word == "slow":
                threading.Event().wait(0.03)
            return {"speed": observation["q"] * np.float32(factor)}

        closed = self.closed

        class Model(CallablePolicy):
            def close(self) -> None:
                closed.append(name)

        return Model(infer, contract, name=name)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    folder = tmp_path / "models"
    folder.mkdir()
    return Models(folder)


@pytest.fixture
def served(models: Models) -> Iterator[Served]:
    """A gateway that serves half, and loads from the folder."""
    loader = Loader(models.folder, False, models.load)
    with serving(policy(half, pair(), "half"), loader=loader) as found:
        yield found


def ask_load(served: Served, path: str, **more: Any) -> dict[str, Any]:
    with RawPeer(served.tcp) as peer:
        return peer.ask({"type": "load_policy", "path": path, **more})


def speed(peer: RawPeer, *q: float) -> Any:
    answer = peer.ask({"type": "obs", "data": {"q": list(q)}})
    return answer["data"]["speed"] if answer["type"] == "action" else answer["error"]


# what may be loaded ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        lambda path: {"path": path},
        lambda path: {"policy": path},
        lambda path: {"data": {"path": path}},
        lambda path: {"path": os.path.basename(path)},
        lambda path: {"path": path, "data": {"more": 1}, "priority": "high"},
    ],
    ids=["path", "policy", "data.path", "relative", "with more"],
)
def test_it_answers_from_then_on(
    served: Served, models: Models, place: Callable[[str], dict[str, Any]]
) -> None:
    asked = place(models.write("times 3"))
    named = asked.get("path") or asked.get("policy") or asked["data"]["path"]
    with RawPeer(served.tcp) as peer:
        assert speed(peer, 1, 2) == [0.5, 1]
        answer = peer.ask({"type": "load_policy", "corr_id": "mine", **asked})
        assert answer["type"] == "load_policy_ack"
        assert answer["path"] == named
        assert (answer["policy_kind"], answer["corr_id"]) == ("callable", "mine")
        assert speed(peer, 1, 2) == [3, 6]
    counters = served.engine.counters
    assert (counters.policy_loads, counters.policy_load_failures) == (1, 0)


def outside(models: Models) -> str:
    path = models.folder.parent / "outside.model"
    path.write_text("times 3")
    return str(path)


def linked(models: Models) -> str:
    (models.folder / "link.model").symlink_to(outside(models))
    return "link.model"


def through_a_linked_folder(models: Models) -> str:
    outside(models)
    (models.folder / "up").symlink_to(models.folder.parent)
    return "up/outside.model"


def fifo(models: Models) -> str:
    os.mkfifo(models.folder / "pipe.model")
    return "pipe.model"


def loop(models: Models) -> str:
    (models.folder / "loop.model").symlink_to("loop.model")
    return "loop.model"


def neighbour(models: Models) -> str:
    """A folder whose name begins with that of the allowed one."""
    other = models.folder.with_name(models.folder.name + "-more")
    other.mkdir()
    (other / "a.model").write_text("times 3")
    return str(other / "a.model")


REFUSED: dict[str, tuple[Callable[[Models], str], str]] = {
    "outside": (outside, "expected a file in"),
    "by dots": (lambda models: f"../{Path(outside(models)).name}", "expected a file in"),
    "by a link": (linked, "expected a file in"),
    "by a linked folder": (through_a_linked_folder, "expected a file in"),
    "a neighbour's": (neighbour, "expected a file in"),
    "outside and missing": (lambda models: "/nowhere/at/all", "expected a file in"),
    "missing": (lambda models: "none.model", "No such file"),
    "a folder": (lambda models: str(models.folder), "no regular file"),
    "a pipe": (fifo, "no regular file"),
    "a device": (lambda models: "/dev/zero", "expected a file in"),
    "a loop of links": (loop, "cannot be read"),
    "a NUL": (lambda models: "a\0b", "cannot be read"),
    "nothing": (lambda models: "", "empty"),
    "too long a name": (lambda models: "x" * 5000, "cannot be read"),
    "a target that is code": (lambda models: "os:system", "No such file"),
    "the URL of a gateway": (lambda models: "tcp://127.0.0.1:1", "No such file"),
    "no model": (lambda models: models.write("nonsense"), "expected a model"),
    "a broken model": (lambda models: models.write("raises"), "broken inside"),
    "a model that is too slow": (lambda models: models.write("slow"), "could never answer"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_loaded_changes_nothing(served: Served, models: Models, name: str) -> None:
    make, words = REFUSED[name]
    answer = ask_load(served, make(models), corr_id="mine")
    assert (answer["type"], answer["error"], answer["corr_id"]) == ("error", "load_failed", "mine")
    assert words in answer["detail"]
    with RawPeer(served.tcp) as peer:
        assert speed(peer, 1, 2) == [0.5, 1]
    assert served.engine.counters.policy_load_failures == 1
    assert list(served.engine.policies) == ["half"]


@pytest.mark.parametrize("beside", ["arm.manifest.json", "arm.vecnormalize.pkl"])
@pytest.mark.parametrize("to", ["outside", "nowhere"])
def test_what_is_read_with_a_model_lies_in_the_folder_too(
    models: Models, beside: str, to: str
) -> None:
    path = models.write("times 2", "arm.model")
    models.write("{}", "../outside")
    (models.folder / beside).symlink_to(f"../{to}")
    with pytest.raises(PolicyLoadError, match=f"{beside} is read with arm.model, and is not in"):
        Loader(models.folder, False, models.load).fetch(path, local=True)
    Loader(None, True, models.load).fetch(path, local=True)
    (models.folder / beside).unlink()
    models.write("{}", "inside")
    (models.folder / beside).symlink_to("inside")
    Loader(models.folder, False, models.load).fetch(path, local=True)


@pytest.mark.parametrize("linked", ["reach.npz", "reach.onnx"])
def test_a_model_s_twin_lies_in_the_folder_too(tmp_path: Path, linked: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("reach.onnx", "reach.npz", "reach.manifest.json"):
        shutil.copy(ROOT / "policies" / name, folder)
    Loader(folder, False, load).fetch("reach.onnx", local=True).policy.close()
    (folder / linked).rename(tmp_path / linked)
    (folder / linked).symlink_to(tmp_path / linked)
    named = "reach.npz" if linked == "reach.onnx" else "reach.onnx"
    with pytest.raises(PolicyLoadError, match=f"{linked} is read with {named}"):
        Loader(folder, False, load).fetch(named, local=True)


def test_any_file_where_that_is_allowed(models: Models) -> None:
    loader = Loader(None, True, models.load)
    with serving(policy(half, pair()), loader=loader) as served:
        assert ask_load(served, outside(models))["type"] == "load_policy_ack"


def test_nothing_where_nothing_is_allowed() -> None:
    with serving(policy(half, pair())) as served:
        answer = ask_load(served, "a.onnx")
        assert answer["error"] == "load_failed"
        assert "--policy-dir" in answer["detail"]


def test_not_for_another_machine(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "_is_local", lambda sock: False)
    loader = Loader(models.folder, True, models.load)
    with serving(policy(half, pair()), loader=loader) as served:
        answer = ask_load(served, models.write("times 3"))
        assert answer["error"] == "load_failed"
        assert "own machine" in answer["detail"]
        assert not models.loading.is_set()


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("192.168.1.5", False), ("::ffff:10.0.0.1", False), ("fe80::1", False), ("", False)],
)  # fmt: skip
def test_who_is_on_this_machine(host: str, local: bool) -> None:
    class Socket:
        family = 2

        def getpeername(self) -> tuple[str, int]:
            return host, 1

    assert doorway._is_local(Socket()) is local  # type: ignore[arg-type]


class Canary:
    """Leaves a mark if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_real_models(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for suffix in ("pkl", "onnx", "npz", "json"):
        (tmp_path / f"bad.{suffix}").write_bytes(pickle.dumps(Canary(mark)))
    for name in ("reach.npz", "reach.manifest.json"):
        shutil.copy(ROOT / "policies" / name, tmp_path)
    (tmp_path / "dummy.json").write_text('{"type": "linear_dummy", "action_dim": 2}')
    (tmp_path / "code.py").write_text("raise SystemExit")
    with serving(loader=Loader(tmp_path, False, load)) as served:
        for name in ("bad.pkl", "bad.onnx", "bad.npz", "bad.json", "code.py"):
            assert ask_load(served, name)["error"] == "load_failed", name
        assert ask_load(served, "dummy.json")["policy_kind"] == "dummy_zero"
        assert ask_load(served, "reach.npz")["policy_kind"] == "numpy"
    assert not mark.exists()


# a gateway without a policy ---------------------------------------------------------------------


def test_without_a_policy_a_client_can_do_everything_else(models: Models) -> None:
    with serving(loader=Loader(models.folder, False, models.load)) as served:
        with RawPeer(served.tcp) as peer:
            answer = peer.ask({"type": "obs", "data": {"q": [1, 2]}, "corr_id": "mine"})
            assert (answer["error"], answer["corr_id"]) == ("policy_unavailable", "mine")
            assert "load_policy" in answer["detail"]
            assert peer.ask({"type": "ping"})["type"] == "ack"
            assert peer.ask({"type": "admin", "op": "get_counters"})["type"] == "counters"
            assert peer.ask({"type": "load_policy", "path": models.write("times 2")})["path"]
            assert speed(peer, 1, 2) == [2, 4]
        with served.connect() as link:
            assert link.act(q=[1, 1]).status == "policy"


def test_a_link_waits_for_a_policy_and_then_says_that_there_is_none(models: Models) -> None:
    with serving(loader=Loader(models.folder, False, models.load)) as served:
        with pytest.raises(isthmus.Error, match="no policy is loaded"):
            served.connect(timeout=0.05)


def test_sessions_without_a_policy_count(models: Models) -> None:
    loader = Loader(models.folder, False, models.load)
    with serving(settings=Settings(max_sessions=1), loader=loader) as served:
        with RawPeer(served.tcp) as first, RawPeer(served.tcp) as second:
            assert first.ask({"type": "ping"})["type"] == "ack"
            assert second.ask({"type": "ping"})["error"] == "too_many_sessions"


# who is connected -------------------------------------------------------------------------------


def test_a_link_goes_on_with_the_same_contract(served: Served, models: Models) -> None:
    with served.connect() as link:
        assert link.transport == "shm"
        assert link.act(q=[1, 2])["speed"].tolist() == [0.5, 1]
        assert ask_load(served, models.write("times 3"))["type"] == "load_policy_ack"
        assert link.act(q=[1, 2])["speed"].tolist() == [3, 6]
        assert link.stats()["reconnects"] == 0


@pytest.mark.parametrize(
    ("model", "words"),
    [("three", "close the links first"), ("limited", "wider limits")],
)
def test_a_link_keeps_what_it_was_welcomed_with(
    served: Served, models: Models, model: str, words: str
) -> None:
    path = models.write(model)
    with served.connect() as link:
        assert link.act(q=[1, 2])["speed"].tolist() == [0.5, 1]
        answer = ask_load(served, path)
        assert answer["error"] == "load_failed"
        assert words in answer["detail"]
        assert link.act(q=[1, 2])["speed"].tolist() == [0.5, 1]
        assert models.closed == [model]
    assert ask_load(served, path)["type"] == "load_policy_ack"  # nobody is in its way now


def test_a_links_own_deadline_counts(served: Served, models: Models) -> None:
    settings = Settings(deadline_ns=10_000_000_000)
    loader = Loader(models.folder, False, models.load)
    path = models.write("slow")
    with serving(policy(half, pair()), settings=settings, loader=loader) as patient:
        with patient.connect(deadline=0.01):
            assert "session" in ask_load(patient, path)["detail"]
        with patient.connect(pacing="lockstep", deadline=None):
            assert ask_load(patient, path)["type"] == "load_policy_ack"


def test_plain_clients_take_any_contract(served: Served, models: Models) -> None:
    with RawPeer(served.tcp) as peer:
        assert speed(peer, 1, 2) == [0.5, 1]
        assert ask_load(served, models.write("three"))["type"] == "load_policy_ack"
        assert speed(peer, 1, 2) == "schema_violation"
        assert speed(peer, 1, 2, 3) == [1, 2, 3]
        assert ask_load(served, models.write("limited"))["type"] == "load_policy_ack"
        assert speed(peer, 0.3, 0.1) == [0.25, pytest.approx(0.1)]


def test_what_a_policy_remembered_is_forgotten(served: Served, models: Models) -> None:
    with RawPeer(served.tcp) as peer:
        path = models.write("sum")
        assert peer.ask({"type": "load_policy", "path": path})["type"] == "load_policy_ack"
        assert [speed(peer, 1, 1), speed(peer, 1, 1)] == [[1, 1], [2, 2]]
        assert peer.ask({"type": "load_policy", "path": path})["type"] == "load_policy_ack"
        assert speed(peer, 1, 1) == [1, 1]


def test_several_policies_are_left_alone(models: Models) -> None:
    two = [policy(half, pair(), name) for name in ("a", "b")]
    with serving(*two, loader=Loader(models.folder, False, models.load)) as served:
        answer = ask_load(served, models.write("times 3"))
        assert answer["error"] == "load_failed"
        assert "a, b" in answer["detail"]


def test_nobody_waits_for_a_policy_that_loads(served: Served, models: Models) -> None:
    models.go_on.clear()
    with RawPeer(served.tcp) as asking, RawPeer(served.tcp) as other, served.connect() as link:
        asking.say({"type": "load_policy", "path": models.write("times 3")})
        assert models.loading.wait(30)
        for _ in range(20):
            assert speed(other, 1, 2) == [0.5, 1]
            assert link.act(q=[1, 2]).status == "policy"
        models.go_on.set()
        assert asking.hear()["type"] == "load_policy_ack"
        assert speed(other, 1, 2) == [3, 6]


def test_who_asked_may_leave_meanwhile(served: Served, models: Models) -> None:
    models.go_on.clear()
    with RawPeer(served.tcp) as asking:
        asking.say({"type": "load_policy", "path": models.write("times 3")})
        assert models.loading.wait(30)
    models.go_on.set()
    assert ask_load(served, models.write("times 4"))["type"] == "load_policy_ack"  # in order
    assert served.engine.counters.policy_loads == 2


def test_loads_at_once_are_done_one_by_one(served: Served, models: Models) -> None:
    paths = [models.write(f"times {factor}") for factor in range(2, 8)]
    peers = [RawPeer(served.tcp) for _ in paths]
    for peer, path in zip(peers, paths, strict=True):
        peer.say({"type": "load_policy", "path": path})
    assert [peer.hear()["type"] for peer in peers] == ["load_policy_ack"] * len(paths)
    [last] = served.engine.policies
    with RawPeer(served.tcp) as peer:
        assert speed(peer, 1, 0) == [float(last.removeprefix("times-")), 0]
    for peer in peers:
        peer.__exit__(None, None, None)
    assert len(models.closed) >= len(paths) - 1


def test_reports_are_written_while_a_policy_loads(models: Models) -> None:
    loader, ledger = Loader(models.folder, False, models.load), Ledger()
    keeper = Housekeeper(ledger, 3600.0, sinks=[lambda snapshot: None])
    models.go_on.clear()
    with serving(policy(half, pair()), loader=loader, ledger=ledger, housekeeper=keeper) as served:
        with RawPeer(served.tcp) as asking, RawPeer(served.tcp) as other:
            asking.say({"type": "load_policy", "path": models.write("times 3")})
            assert models.loading.wait(30)
            assert other.ask({"type": "admin", "op": "flush_metrics"})["type"] == "admin_ack"
            models.go_on.set()
            assert asking.hear()["type"] == "load_policy_ack"


def test_a_load_that_takes_too_long_turns_others_away(
    served: Served, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.go_on.clear()
    path = models.write("times 3")
    with RawPeer(served.tcp) as asking:
        asking.say({"type": "load_policy", "path": path})
        assert models.loading.wait(30)
        monkeypatch.setattr(loading, "LONGEST_S", 0.0)
        answer = ask_load(served, models.write("times 4"))
        assert answer["error"] == "load_failed"
        assert answer["detail"] == f"busy: {path!r} has been loading for 0 s"
        models.go_on.set()
        assert asking.hear()["type"] == "load_policy_ack"
    assert ask_load(served, models.write("times 5"))["type"] == "load_policy_ack"


def test_a_bounded_number_of_loads_waits(
    served: Served, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "MOST_WAITING", 1)
    models.go_on.clear()
    with RawPeer(served.tcp) as asking:
        asking.say({"type": "load_policy", "path": models.write("times 3")})
        assert models.loading.wait(30)
        assert "ask again later" in ask_load(served, models.write("times 4"))["detail"]
        models.go_on.set()
        assert asking.hear()["type"] == "load_policy_ack"
    assert ask_load(served, models.write("times 5"))["type"] == "load_policy_ack"


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_under_load_no_answer_is_lost_or_mixed(models: Models, executor: str) -> None:
    """Four clients ask all the time; each sees whole answers, and never an older policy again."""
    factors = range(2, 14)
    paths = [models.write(f"times {factor}") for factor in factors]
    over = threading.Event()
    seen: list[list[float]] = [[] for _ in range(4)]

    def plain(mine: list[float]) -> None:
        with RawPeer(served.tcp) as peer:
            while not over.is_set():
                number = float(len(mine) % 7 + 1)
                data = peer.ask({"type": "obs", "data": {"q": [number, 2 * number]}})["data"]
                assert data["deadline_miss"] is False
                mine.append(factor_of(data["speed"], number))

    def linked(mine: list[float]) -> None:
        with served.connect(deadline=20.0) as link:
            while not over.is_set():
                number = float(len(mine) % 7 + 1)
                action = link.act(q=[number, 2 * number])
                assert action.status == "policy", action.cause
                mine.append(factor_of(action["speed"].tolist(), number))

    def factor_of(answer: list[float], number: float) -> float:
        assert answer[1] == 2 * answer[0]
        return answer[0] / number

    settings = Settings(executor=executor, deadline_ns=20_000_000_000)
    loader = Loader(models.folder, False, models.load)
    with serving(policy(half, pair()), settings=settings, loader=loader) as served:
        faults: list[BaseException] = []

        def guarded(work: Callable[[list[float]], None], mine: list[float]) -> None:
            try:
                work(mine)
            except BaseException as exc:
                faults.append(exc)

        works = zip((plain, plain, linked, linked), seen, strict=True)
        threads = [threading.Thread(target=guarded, args=each) for each in works]
        for thread in threads:
            thread.start()
        with RawPeer(served.tcp) as peer:
            for path in paths:
                assert peer.ask({"type": "load_policy", "path": path})["type"] == "load_policy_ack"
                before = [len(mine) for mine in seen]
                while not faults and any(  # the second from now was asked after the exchange
                    len(mine) < count + 2 for mine, count in zip(seen, before, strict=True)
                ):
                    assert peer.ask({"type": "ping"})["type"] == "ack"
        over.set()
        for thread in threads:
            thread.join(30)
        assert not faults
        assert served.engine.counters.errors == served.engine.counters.misses == 0
    for mine in seen:
        assert mine == sorted(mine)
        assert set(mine) - {0.5} == {float(factor) for factor in factors}


def test_an_old_policy_that_hangs_keeps_nobody(models: Models) -> None:
    release = threading.Event()

    def hang(observation: Arrays) -> Arrays:
        if observation["q"][0, 0] == 107:
            release.wait(30)
        return half(observation)

    settings = Settings(executor="thread", deadline_ns=200_000_000)
    loader = Loader(models.folder, False, models.load)
    with serving(policy(hang, pair(), "hangs"), settings=settings, loader=loader) as served:
        with RawPeer(served.tcp) as peer:
            assert peer.ask({"type": "obs", "data": {"q": [107, 1]}})["data"]["deadline_miss"]
            assert ask_load(served, models.write("times 3"))["type"] == "load_policy_ack"
            data = peer.ask({"type": "obs", "data": {"q": [1, 1]}, "budget_ns": 10**10})["data"]
            assert (data["speed"], data["deadline_miss"]) == ([3, 3], False)
            release.set()


def test_what_was_loaded_is_closed_at_the_end(models: Models) -> None:
    loader = Loader(models.folder, False, models.load)
    with serving(policy(half, pair()), loader=loader) as served:
        ask_load(served, models.write("times 3"))
        ask_load(served, models.write("times 4"))
        assert models.closed == ["times-3"]
    assert models.closed == ["times-3", "times-4"]


def test_a_path_forges_no_line_of_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    ask_load(served, "none\n2026-01-01 WARNING all is well")
    assert caplog.messages and all("\n" not in message for message in caplog.messages)
