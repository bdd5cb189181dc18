"""The pages beside a live engine: what they say of it, and that nobody there can disturb it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from isthmus.control.health import engine_health, engine_readiness
from isthmus.control.server import ControlServer
from isthmus.gateway import Settings
from isthmus.policy.base import Policy
from isthmus.protocol.messages import Observation

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer, RawPeer
from ..support.policies import Scripted, half, policy
from ..support.waiting import LAST_RESORT, until

LIMIT_S = 0.05

Samples = dict[tuple[str, ...], float]
"""Name and values of the labels, in the order of their names -> value."""


class Pages:
    """The pages of a served engine."""

    def __init__(self, served: Served) -> None:
        engine = served.engine
        self.server = ControlServer(
            "127.0.0.1:0",
            engine.ledger.snapshot,
            health=engine_health(lambda: engine.busy_since_ns, limit_s=LIMIT_S),
            readiness=engine_readiness(lambda: len(engine.policies), lambda: engine.accepting),
        )
        self.port = int(self.server.url.rpartition(":")[2])

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=LAST_RESORT)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def samples(self) -> Samples:
        """What the page of metrics holds."""
        status, text = self.get("/metrics")
        assert status == 200
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@contextmanager
def watched(served_policy: Policy) -> Iterator[tuple[Served, Pages]]:
    with serving(served_policy, settings=Settings(executor="inline")) as served:
        pages = Pages(served)
        with closing(pages.server):
            yield served, pages


def test_a_policy_that_hangs_is_unwell_and_its_pages_go_on() -> None:
    scripted = Scripted()
    with watched(policy(scripted, pair())) as (served, pages), BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        connected = ("isthmus_connected_sessions", "binary", "unix")
        until(lambda: pages.samples()[connected] == 1, "its pass with the greeting is over")
        until(lambda: pages.get("/healthz") == (200, "ok\n"), "it is well to begin with")
        peer.tell(Observation({"q": np.full((1, 2), 107, np.float32)}, 1))
        _, said = until(lambda: (page := pages.get("/healthz"))[0] == 503 and page, "it hangs")
        assert "in one pass for" in said
        assert pages.get("/readyz")[0] == 200
        assert pages.samples()[connected] == 1
        scripted.release.set()
        peer.answer()
        until(lambda: pages.get("/healthz")[0] == 200, "it is well again")


def test_the_page_of_metrics_says_what_happened() -> None:
    hashes = {"rand_hash": "r1-aa", "expected_rand_hash": "r1-bb"}
    with watched(policy(half, pair())) as (served, pages), RawPeer(served.tcp) as peer:
        for data in ({"q": [1.0, 2.0]}, {"q": [1.0, 2.0], **hashes}):
            assert peer.ask({"type": "obs", "data": data})["type"] == "action"
        peer.send(b"no json\n")
        assert peer.hear()["error"] == "bad_json"

        def complete() -> Samples | None:
            """The page once the engine has written all of it down."""
            found = pages.samples()
            return found if found["isthmus_errors_total", "bad_json"] == 1 else None

        found = until(complete, "the error is on the page")
        assert found is not None
        assert found["isthmus_connected_sessions", "json", "tcp"] == 1
        assert found["isthmus_observations_total",] == 2
        assert found["isthmus_answers_total", "policy"] == 2
        assert found["isthmus_rand_hash_mismatches_total",] == 1
        assert found["isthmus_error_answers_total",] == 1
        assert found["isthmus_deadline_miss_ratio",] == 0
        for stage in ("receive", "validate", "queue", "infer", "gate", "send", "total", "policy"):
            assert found["isthmus_stage_duration_seconds_count", stage] == 2
            assert found["isthmus_stage_duration_seconds_bucket", "+Inf", stage] == 2
    until(lambda: not served.engine.sessions, "everyone has left")


ABUSE = (
    b"",
    b"GET /metr",
    b"\x00\xff" * 4000,
    b"POST /metrics HTTP/1.1\r\n\r\nbody",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"x" * 100_000,
)


def test_abuse_of_the_pages_does_not_reach_the_engine() -> None:
    with watched(policy(half, pair())) as (served, pages), ExitStack() as connections:
        with served.connect() as link:
            for number in range(150):
                sock = socket.create_connection(("127.0.0.1", pages.port), timeout=LAST_RESORT)
                connections.enter_context(sock)
                try:
                    sock.sendall(ABUSE[number % len(ABUSE)])
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it had heard enough
                action = link.act(q=np.full(2, number, np.float32))
                assert action.status == "policy"
                assert action["speed"].tolist() == [number / 2, number / 2]
            assert pages.samples()["isthmus_deadline_misses_total",] == 0
        assert served.engine.counters.errors == 0


def test_the_engine_goes_on_when_the_pages_are_gone() -> None:
    with watched(policy(half, pair())) as (served, pages), served.connect() as link:
        pages.server.close()
        assert link.act(q=np.ones(2, np.float32)).status == "policy"
