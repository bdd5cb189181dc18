"""`/metrics`: a snapshot in the formats that Prometheus asks for. The home of prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import MissingDependencyError
from ..telemetry import Snapshot
from .families import Family, constant_labels, families

try:
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.metrics_core import Metric
except ModuleNotFoundError as exc:
    raise MissingDependencyError(
        "the metrics page needs prometheus-client, which this Python does not have; install it "
        "with `pip install 'isthmus[gateway]'`, or serve without --http"
    ) from exc

__all__ = ["expose"]

_ENDINGS = {"counter": "_total", "info": "_info"}
"""What the library adds to the name of a family of this kind by itself."""


class _Collected:
    """One snapshot, as what the library calls a collector."""

    def __init__(self, found: Iterable[Family]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return map(_converted, self._found)


def expose(
    snapshot: Snapshot, accept: str, *, instance_id: str = "", labels: bool = False
) -> tuple[str, bytes]:
    """Write every metric down.

    Args:
        snapshot: what to tell.
        accept: the request's Accept header; "" is the plain text format.
        instance_id: which gateway this is.
        labels: True adds `instance_id` and `policy_kind` to every sample.

    Returns:
        Content type and body.
    """
    encode: Callable[[_Collected], bytes]
    encode, content_type = choose_encoder(accept)
    found = families(snapshot, constant_labels(snapshot, instance_id, labels))
    return content_type, encode(_Collected(found))


def _converted(family: Family) -> Metric:
    base = family.name.removesuffix(_ENDINGS.get(family.kind, ""))
    metric = Metric(base, family.help, family.kind)
    for sample in family.samples:
        metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
    return metric
