"""A parameter that drifts in one of three simulators, found by `isthmus drift` in the real log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.events import EventLog
from isthmus.gateway.ledger import Ledger
from isthmus.provenance import first_difference, randomization_hash
from isthmus.record.drift import analyse, read_log
from isthmus.record.drift.log import NAME

from ..support.contracts import pair
from ..support.gateways import serving
from ..support.policies import half, policy

EPISODES, STEPS, DRIFTS_FROM = 6, 4, 3
Q = np.zeros(2, np.float32)


def drawn(episode: int) -> dict[str, Any]:
    return {"friction": np.array([0.1, 0.2 + episode / 10]), "arm": {"delay": 1}}


def applied(simulator: int, episode: int) -> dict[str, Any]:
    values = drawn(episode)
    if simulator == 1 and episode >= DRIFTS_FROM:
        values["friction"][1] = np.nextafter(values["friction"][1], 1.0)
    return values


def test_a_drift_of_one_bit_is_traced_to_its_parameter_and_session(tmp_path: Path) -> None:
    log = EventLog(tmp_path, name=NAME)
    log.start()
    ledger = Ledger(hash_log=log)
    echoes = []
    with serving(policy(half, pair()), ledger=ledger) as served:
        links = [served.connect() for _ in range(3)]
        for episode in range(EPISODES):
            for simulator, link in enumerate(links):
                runs, expected = applied(simulator, episode), drawn(episode)
                link.reset(seed=episode, randomization=runs, expected_randomization=expected)
                for _ in range(STEPS):
                    action = link.act(q=Q)
                    assert action.rand_hash == randomization_hash(runs)
                    echoes.append((simulator, episode, action.rand_hash_mismatch))
        for link in links:
            link.close()
    ledger.snapshot()
    log.close()
    wrong = {(simulator, episode) for simulator, episode, mismatch in echoes if mismatch}
    assert wrong == {(1, episode) for episode in range(DRIFTS_FROM, EPISODES)}

    report = analyse(read_log(tmp_path), cluster_gap=1e6)
    assert report.total == (EPISODES - DRIFTS_FROM) * STEPS == ledger.counters.rand_hash_mismatch
    [parameter], [session] = report.parameters, report.sessions
    assert parameter.key == "friction[1]" and parameter.session == session.session != ""
    difference = first_difference(drawn(DRIFTS_FROM), applied(1, DRIFTS_FROM))
    assert difference is not None
    assert parameter.expected_value == difference.expected
    assert parameter.actual_value == difference.actual
    assert parameter.first_seq == DRIFTS_FROM * STEPS + 1
    assert [each.count for each in report.transitions] == [STEPS] * (EPISODES - DRIFTS_FROM)
    assert report.log.unreadable == report.log.foreign == 0
