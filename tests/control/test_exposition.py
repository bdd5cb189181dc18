"""`/metrics` as its own library reads it back, and as Prometheus judges it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from isthmus.control.exposition import expose
from isthmus.control.families import constant_labels, families
from isthmus.errors import MissingDependencyError
from isthmus.telemetry import Snapshot

from .promtool import needs_promtool, promtool
from .snapshots import busy, idle

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
NASTY = 'cell "3"\\north\nwing, a=b{}'

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
both_formats = pytest.mark.parametrize(
    ("accept", "read"), [("", read_text), (OPENMETRICS, read_openmetrics)],
    ids=["text", "openmetrics"],
)  # fmt: skip
both_snapshots = pytest.mark.parametrize("snapshot", [idle(), busy()], ids=["idle", "busy"])


def wanted(snapshot: Snapshot, instance_id: str, labels: bool) -> Samples:
    return {
        (family.name + sample.suffix, frozenset(sample.labels.items())): sample.value
        for family in families(snapshot, constant_labels(snapshot, instance_id, labels))
        for sample in family.samples
    }


@both_formats
@both_snapshots
@pytest.mark.parametrize("labels", [True, False])
def test_what_is_read_back_is_what_the_table_says(
    accept: str, read: Callable[[str], Iterable[Any]], snapshot: Snapshot, labels: bool
) -> None:
    _, body = expose(snapshot, accept, instance_id=NASTY, labels=labels)
    found: Samples = {}
    for family in read(body.decode()):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    assert found == wanted(snapshot, NASTY, labels)


@both_formats
def test_every_family_has_its_help_and_kind(
    accept: str, read: Callable[[str], Iterable[Any]]
) -> None:
    for family in read(expose(busy(), accept)[1].decode()):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram", "info")


def test_the_format_is_what_was_asked_for() -> None:
    assert expose(busy(), "")[0].startswith("text/plain; version=0.0.4")
    kind, body = expose(busy(), OPENMETRICS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


@needs_promtool
@both_snapshots
@pytest.mark.parametrize("labels", [True, False])
def test_prometheus_finds_nothing_to_complain_of(snapshot: Snapshot, labels: bool) -> None:
    _, body = expose(snapshot, "", instance_id=NASTY, labels=labels)
    assert promtool("check", "metrics", stdin=body) == (0, "")


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "isthmus.control.exposition")
    for name in [each for each in sys.modules if each.split(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingDependencyError, match=r"isthmus\[gateway\]"):
        importlib.import_module("isthmus.control.exposition")
