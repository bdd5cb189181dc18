"""`isthmus serve --http`: what a scraper, an operator and a starter of containers ask.

It reads snapshots, in a thread of its own; the engine goes on if it dies, and is never waited for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from ..errors import AddressError
from ..telemetry import Snapshot
from ..transport import Address, parse
from ..transport.sockets import listen, resolve
from .alerts import alerts_page, rows_of
from .health import Check, well
from .request import Request, Response
from .web import Web

__all__ = ["PAGES", "ControlServer"]

PAGES: dict[str, str] = {
    "/metrics": "metrics for Prometheus; OpenMetrics if asked for",
    "/healthz": "200 while the gateway's engine turns, else 503 and why not",
    "/readyz": "200 while it serves a policy and takes connections in, else 503 and why not",
    "/alerts": "JSON: every alert, whether it is active, since when, and what to do",
}
"""Path -> what is there."""

FRESH_S = 0.2
"""Seconds for which a page of metrics is shown again, so that who asks without end costs little."""


class ControlServer:
    """Answers `PAGES` over HTTP on this machine, until `close`.

    Attributes:
        url: where, with the port that the system chose.
    """

    def __init__(
        self,
        address: str,
        snapshot: Callable[[], Snapshot],
        *,
        instance_id: str = "",
        labels: bool = False,
        health: Check = well,
        readiness: Check | None = None,
        alerts: Callable[[], Iterable[Mapping[str, Any]]] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Listen, and start answering.

        Args:
            address: `HOST:PORT`; port 0 lets the system choose.
            snapshot: what to tell of, at most every `FRESH_S`; called in the server's thread.
            instance_id: which gateway this is.
            labels: True adds `instance_id` and `policy_kind` to every metric.
            health: for `/healthz`.
            readiness: for `/readyz`; None looks for a policy in the snapshot.
            alerts: rows of `/alerts`, as `alerts.alerts_page` has them; None shows what the
                snapshot knows.
            clock: seconds, monotonic.

        Raises:
            AddressError: not loopback, in use, or no address at all.
            MissingDependencyError: prometheus_client is not installed.
        """
        from .exposition import expose  # optional: known at the start, not at the first scrape

        self._expose = expose
        self._snapshot = snapshot
        self._instance_id = instance_id
        self._labels = labels
        self._alerts = alerts
        self._clock = clock
        self._shown: tuple[str, float, Response] | None = None
        self._pages: dict[str, Callable[[Request], Response]] = {
            "/": _list,
            "/metrics": self._metrics,
            "/healthz": lambda _: _checked(health),
            "/readyz": lambda _: _checked(readiness or self._serves),
            "/alerts": self._show_alerts,
        }
        listener = listen(_loopback(address))
        self.url = "http://" + listener.address.url.removeprefix("tcp://")
        self._web = Web(listener, self._answer)

    def close(self) -> None:
        """Stop answering. May be called again."""
        self._web.close()

    def _answer(self, request: Request) -> Response:
        page = self._pages.get(request.path)
        if page is None:
            return Response(404, b"not here; / lists what is\n")
        return page(request)

    def _metrics(self, request: Request) -> Response:
        accept, now = request.headers.get("accept", ""), self._clock()
        if self._shown is not None:
            asked, until, response = self._shown
            if asked == accept and now < until:
                return response
        content_type, body = self._expose(
            self._snapshot(), accept, instance_id=self._instance_id, labels=self._labels
        )
        response = Response(200, body, content_type)
        self._shown = accept, now + FRESH_S, response
        return response

    def _serves(self) -> str:
        return "" if self._snapshot().policies else "no policy is served; load one"

    def _show_alerts(self, _: Request) -> Response:
        snapshot = self._snapshot()
        rows = rows_of(snapshot) if self._alerts is None else self._alerts()
        return Response(200, alerts_page(rows, snapshot), "application/json")


def _list(_: Request) -> Response:
    lines = (f"{path:<10} {what}\n" for path, what in PAGES.items())
    return Response(200, "".join(lines).encode())


def _checked(check: Check) -> Response:
    wrong = check()
    return Response(503, f"{wrong}\n".encode()) if wrong else Response(200, b"ok\n")


def _loopback(address: str) -> Address:
    """Read `HOST:PORT`.

    Raises:
        AddressError: it is none, or others could reach it.
    """
    try:
        found = parse(f"tcp://{address}")
    except AddressError as exc:
        raise AddressError(
            f"cannot read the HTTP address {address!r}; expected HOST:PORT, such as 127.0.0.1:9464"
        ) from exc
    host = resolve(found)[1][0]  # type: ignore[index]
    if not ipaddress.ip_address(host).is_loopback:
        raise AddressError(
            f"the HTTP address {address!r} is not loopback: anyone on the network could read it, "
            "for nobody is asked who they are. Use 127.0.0.1 and an SSH tunnel, or a scraper on "
            "this machine"
        )
    return found
