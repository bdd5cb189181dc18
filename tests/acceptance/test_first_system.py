"""What the operators of the first system had set themselves as its acceptance, one test a line.

They have clients, flags, files and dashboards; this gateway replaces theirs under all of them. The
tests of this folder know what those people know, and nothing of isthmus: a process, its socket and
its files. The other files are about what they type, read and graph, line by line.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ..support.fake_isaac import FakeIsaac, fake_isaac, make_fake_isaac
from .first_clients import ZERO, observe
from .processes import ROOT, Gateway, run_isthmus

__all__ = ["fake_isaac", "make_fake_isaac"]  # fixtures


def test_scripts_for_the_simulator_run_without_an_sre_mismatch(
    fake_isaac: FakeIsaac, tmp_path: Path
) -> None:
    tool = tmp_path / "tool.py"
    tool.write_text("import re, omni\nprint(re.sub('s', 'S', 'seen'))\n", encoding="utf-8")
    done = subprocess.run(
        [str(ROOT / "scripts" / "run_isaac_tool.sh"), str(tool)],
        env=fake_isaac.polluted({"ISAAC_SIM_ROOT": str(fake_isaac.root), "HOME": str(tmp_path)}),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Seen\n"), done.stderr
    assert "SRE module mismatch" not in done.stdout + done.stderr


def test_the_rl_loop_never_imports_omni(tmp_path: Path) -> None:
    loop = tmp_path / "rl_loop.py"
    loop.write_text("import json\n\nprint(json.dumps({}))\n", encoding="utf-8")
    assert run_isthmus("guard", "check", ".", cwd=tmp_path).returncode == 0
    loop.write_text("import omni.kit\n", encoding="utf-8")
    done = run_isthmus("guard", "check", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "omni" in done.stdout + done.stderr


def test_a_policy_that_imports_omni_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("import omni\n\n\ndef policy():\n    return None\n")
    done = run_isthmus("serve", "loop:policy", cwd=tmp_path)
    assert done.returncode == 2 and "omni" in done.stderr


def test_the_schema_file_exists_and_parses() -> None:
    text = (ROOT / "configs" / "schemas" / "obs_action_schema.json").read_text(encoding="utf-8")
    assert json.loads(text)["schema_version"]


def test_an_echo_round_trip_works(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO, rand_hash="echo me", sim_time=12.25))["data"]
    assert (data["rand_hash"], data["sim_time"]) == ("echo me", 12.25)


def test_correlation_ids_join_recv_and_send_events(gateway: Gateway) -> None:
    corr_ids = [gateway.ask(observe(*ZERO))["corr_id"] for _ in range(10)]
    gateway.event(phase="send", corr_id=corr_ids[-1])
    phases: dict[str, list[str]] = {corr_id: [] for corr_id in corr_ids}
    for event in gateway.lines():
        if event.get("corr_id") in phases:
            phases[event["corr_id"]].append(event["phase"])
    assert phases == dict.fromkeys(corr_ids, ["recv", "send"])


def test_answers_carry_latency_and_profiling(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    assert data["policy_latency_ms"] > 0.0
    assert data["profiling"]["infer_ms"] >= 0.0 and data["profiling"]["preprocess_ms"] >= 0.0


def test_the_rand_hash_is_echoed_and_a_mismatch_flagged(gateway: Gateway) -> None:
    alike = gateway.ask(observe(*ZERO, rand_hash="r1", expected_rand_hash="r1"))["data"]
    assert alike["rand_hash"] == "r1"
    assert alike.get("rand_hash_mismatch", False) is False
    other = gateway.ask(observe(*ZERO, rand_hash="r1", expected_rand_hash="r2"))["data"]
    assert (other["rand_hash"], other["expected_rand_hash"]) == ("r1", "r2")
    assert other["rand_hash_mismatch"] is True


def test_the_metrics_file_holds_p95(gateway: Gateway) -> None:
    gateway.ask(observe(*ZERO))
    gateway.flush()
    assert gateway.metrics()["policy_latency_ms"]["p95"] > 0.0


def test_its_pages_and_scripts_are_where_they_were() -> None:
    names = (
        "scripts/ipc_policy_gateway.py", "scripts/bench_transport.py",
        "scripts/measure_round_trip.py", "scripts/analyze_hash_drift.py",
        "scripts/run_isaac_tool.sh", "configs/schemas/obs_action_schema.json",
        "docs/OBSERVABILITY.md", "tests/test_schema_file.py",
        "tests/test_ipc_gateway_integration.py",
    )  # fmt: skip
    assert [name for name in names if not (ROOT / name).is_file()] == []
