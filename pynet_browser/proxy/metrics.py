"""``/metrics`` in Prometheus' format: what there is, looked at when somebody asks."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from pynet_browser import __version__
from pynet_browser.proxy import addresses
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.lag import BOUNDS, LoopLag
from pynet_browser.proxy.sessions import Sessions

__all__ = ["Metrics"]

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""Headers of servers that pass requests on: then it is not this machine that asks."""

SOCKETS = {
    "tcp": ("connecting", "connected", "half_closed", "closing"),
    "tls": ("connected", "half_closed", "closing"),
    "udp": ("open", "associated"),
    "listener": ("idle", "listening"),
}
"""Kinds of sockets and their states, which are told of even where there are none."""

CLIENTS = ("websockify", "wisp", "posix")
DOOR = ("token", "origin", "host", "version", "busy", "session", "greeting")


class Metrics:
    """Answers ``/metrics``.

    Args:
        config: says who may ask.
        sessions: what is told of.
    """

    def __init__(self, config: Config, sessions: Sessions) -> None:
        self.lag = LoopLag()
        self._config = config
        self._registry = CollectorRegistry()
        self._registry.register(_Proxy(sessions, self.lag))
        ProcessCollector(registry=self._registry)

    async def handle(self, request: web.Request) -> web.Response:
        """Serve one request.

        Raises:
            web.HTTPException: whoever asks may not.
        """
        self._check(request)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        return web.Response(body=encode(self._registry), headers=headers)

    def _check(self, request: web.Request) -> None:
        # It is for programs. What a page could ask for it could use, whatever a browser lets it read.
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in (
            "none",
            "same-origin",
        ):
            raise web.HTTPForbidden(text="metrics are for programs; pages do not get them")
        match self._config.metrics:
            case "open":
                return
            case "loopback":
                remote = addresses.literal(request.remote or "")
                if remote is None or addresses.kind(remote) != "loopback" or _forwarded(request):
                    raise web.HTTPForbidden(text="metrics are for this machine alone (--metrics loopback)")
            case _:
                self._check_token(request)

    def _check_token(self, request: web.Request) -> None:
        wanted = [token for token in (self._config.metrics_token, self._config.token) if token is not None]
        if not wanted:
            raise web.HTTPForbidden(
                text="metrics want a token, and there is none: start the proxy with --metrics-token, or with "
                "--metrics loopback"
            )
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.strip().encode("utf-8", "surrogateescape")
        right = [hmac.compare_digest(shown, token.encode("utf-8", "surrogatepass")) for token in wanted]
        if scheme.lower() != "bearer" or not any(right):
            raise web.HTTPUnauthorized(
                text="metrics want 'Authorization: Bearer TOKEN', with that of --metrics-token or --token",
                headers={"WWW-Authenticate": 'Bearer realm="pynet metrics"'},
            )


def _forwarded(request: web.Request) -> bool:
    return any(name in request.headers for name in FORWARDED)


class _Proxy(Collector):
    """Everything of one proxy."""

    def __init__(self, sessions: Sessions, lag: LoopLag) -> None:
        self._sessions = sessions
        self._lag = lag

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that nothing is collected when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield InfoMetricFamily("pynet_build", "The proxy itself.", value={"version": __version__})
        yield from self._clients()
        yield from self._sockets()
        yield from self._bytes()
        yield from self._decisions()
        yield from self._work()

    def _clients(self) -> Iterator[Metric]:
        sessions = self._sessions
        states = Counter("detached" if each.carriage.detached else "attached" for each in sessions)
        yield _gauge(
            "pynet_sessions",
            "Sessions of pages; those that are detached wait for their page.",
            "state",
            {state: states[state] for state in ("attached", "detached")},
        )
        kinds = Counter(each.KIND for each in sessions.clients)
        yield _gauge(
            "pynet_clients", "Clients that others wrote.", "kind", {kind: kinds[kind] for kind in CLIENTS}
        )
        by_token = GaugeMetricFamily(
            "pynet_token_sessions", "Sessions and clients of each token.", labels=["token"]
        )
        for tenant in sessions.tenants:
            by_token.add_metric([tenant.name], len(tenant.members))
        yield by_token

    def _sockets(self) -> Iterator[Metric]:
        found = Counter((each.kind, each.state) for owner in self._sessions.owners for each in owner)
        family = GaugeMetricFamily("pynet_sockets", "Open sockets on this host.", labels=["kind", "state"])
        known = {(kind, state): 0 for kind, states in SOCKETS.items() for state in states}
        for labels, count in {**known, **found}.items():
            family.add_metric(labels, count)
        yield family

    def _bytes(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "pynet_host_received_bytes", "Bytes that hosts have sent.", labels=["token", "kind"]
        )
        sent = CounterMetricFamily(
            "pynet_host_sent_bytes", "Bytes that were sent to hosts.", labels=["token", "kind"]
        )
        dropped = 0
        for labels, traffic in self._sessions.traffic().items():
            received.add_metric(labels, traffic.received)
            sent.add_metric(labels, traffic.sent)
            dropped += traffic.dropped
        yield received
        yield sent
        yield CounterMetricFamily(
            "pynet_datagrams_dropped", "Datagrams that limits or full buffers have dropped.", value=dropped
        )
        carried = self._sessions.carried
        yield _counter(
            "pynet_carrier_received_bytes",
            "Bytes that clients have sent, by what carried them.",
            "carrier",
            {kind: each.received for kind, each in carried.items()},
        )
        yield _counter(
            "pynet_carrier_sent_bytes",
            "Bytes that were sent to clients, by what carried them.",
            "carrier",
            {kind: each.sent for kind, each in carried.items()},
        )
        yield GaugeMetricFamily(
            "pynet_buffered_bytes",
            "Bytes held that clients or hosts have not taken.",
            self._sessions.buffered,
        )
        yield GaugeMetricFamily(
            "pynet_replay_bytes",
            "Bytes of those that are kept until pages acknowledge them.",
            sum(each.link.kept for each in self._sessions),
        )

    def _decisions(self) -> Iterator[Metric]:
        audit = self._sessions.audit
        decisions = CounterMetricFamily(
            "pynet_decisions", "What was decided: for each event how often.", labels=["event", "decision"]
        )
        for labels, count in audit.decisions.items():
            decisions.add_metric(labels, count)
        yield decisions
        yield _counter(
            "pynet_refusals",
            "What policy and limits have refused, by the rule of the configuration or the limit's name.",
            "rule",
            audit.refusals,
        )
        refused = self._sessions.door.refusals
        yield _counter(
            "pynet_admission_refusals",
            "Clients that were not let in, by why.",
            "code",
            {code: refused[code] for code in DOOR},
        )
        yield CounterMetricFamily(
            "pynet_log_lines_suppressed",
            "Lines about decisions that were too many.",
            value=audit.suppressed,
        )

    def _work(self) -> Iterator[Metric]:
        lookups = self._sessions.lookups
        yield _counter(
            "pynet_lookups",
            "Names and addresses that were looked up.",
            "result",
            {"found": lookups.found, "failed": lookups.failed},
        )
        yield GaugeMetricFamily("pynet_lookups_in_progress", "Look-ups under way.", lookups.under_way)
        yield GaugeMetricFamily(
            "pynet_relay_requests_in_progress",
            "HTTP requests under way for pages.",
            sum(len(tenant.errands) for tenant in self._sessions.tenants),
        )
        yield HistogramMetricFamily(
            "pynet_event_loop_lag_seconds",
            "How much later than due the event loop runs a timer.",
            buckets=[
                (str(bound), count)
                for bound, count in zip((*BOUNDS, "+Inf"), self._lag.cumulative, strict=True)
            ],
            sum_value=self._lag.total,
        )
        yield GaugeMetricFamily(
            "pynet_event_loop_lag_max_seconds", "The largest of the last minute.", self._lag.recent_max
        )


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counter(name: str, text: str, label: str, values: dict[str, int] | Counter[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
