"""What ``/metrics`` tells, and whom."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pynet_browser.frames import Relay
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.lag import LoopLag
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tokens import parse_tokens
from tests.peers import Source, pattern
from tests.proxy.carrier import RefusedError, ResetError, hello
from tests.proxy.client import FailedError, Page
from tests.proxy.exchanges import Exchanges, message
from tests.proxy.foreign import ENCODED_TOKEN, connect
from tests.proxy.hosts import UdpEcho
from tests.proxy.running import TOKEN, RunningProxy, listening, running_proxy, until
from tests.proxy.test_relay import ask, asked
from tests.proxy.test_tokens import know
from tests.servers import ROOT
from tests.web_site import WebSite

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def get(proxy: RunningProxy, **headers: str) -> tuple[int, str]:
    """Status and text that come for a request with these headers, ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{proxy.base.replace('ws', 'http', 1)}/metrics"
    async with aiohttp.ClientSession() as client, client.get(url, headers=named) as answer:
        assert answer.headers.get("Access-Control-Allow-Origin") is None
        return answer.status, await answer.text()


class Sample:
    """All values of one moment."""

    def __init__(self, text: str) -> None:
        self.values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            assert family.documentation
            for sample in family.samples:
                self.values[sample.name, frozenset(sample.labels.items())] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]

    def sum(self, name: str) -> float:
        return sum(value for (each, _), value in self.values.items() if each == name)


async def sample(proxy: RunningProxy) -> Sample:
    status, text = await get(proxy, **BEARER)
    assert status == 200
    return Sample(text)


# ── Who is told ───────────────────────────────────────────────────────────────────────────────────────────


async def test_only_whoever_shows_a_token_is_told():
    async with running_proxy(metrics_token="m", tokens=parse_tokens('[tokens.ada]\ntoken = "a"')) as proxy:
        for right in ("Bearer m", "bearer m", f"Bearer {TOKEN}"):
            assert (await get(proxy, Authorization=right))[0] == 200
        for wrong in ("Bearer a", "Bearer", "Bearer x", "Basic m", "m"):
            status, text = await get(proxy, Authorization=wrong)
            assert (status, text[:41]) == (401, "metrics want 'Authorization: Bearer TOKEN")
        assert (await get(proxy))[0] == 401


async def test_the_metrics_token_opens_nothing_else():
    async with running_proxy(metrics_token="m") as proxy:
        with pytest.raises(RefusedError, match="token"):
            await Page(proxy.url, "m").open()


async def test_where_there_is_no_token_for_it_it_says_what_to_do():
    async with running_proxy(token=None, origins=("https://a.example",)) as proxy:
        status, text = await get(proxy, Authorization="Bearer ")
        assert (status, "--metrics-token" in text) == (403, True)


@pytest.mark.parametrize("access", ["token", "loopback", "open"])
async def test_no_page_is_told_whatever_it_knows(access):
    async with running_proxy(metrics=access, origins=("https://a.example", "*")) as proxy:
        own = proxy.base.replace("ws", "http", 1)
        for origin in ("https://a.example", "https://evil.example", "null", own):
            assert (await get(proxy, Origin=origin, **BEARER))[0] == 403
        for site in ("cross-site", "same-site"):
            assert (await get(proxy, Sec_Fetch_Site=site, **BEARER))[0] == 403
        assert (await get(proxy, Host="evil.example", **BEARER))[0] == 421


async def test_programs_on_this_machine_may_be_told_without_a_token():
    async with running_proxy(metrics="loopback") as proxy:
        assert (await get(proxy))[0] == 200
        # Then it is a server in front that asks, for whoever asks it.
        for header in ("X_Forwarded_For", "Forwarded", "Via", "X_Real_IP"):
            assert (await get(proxy, **{header: "192.0.2.1"}))[0] == 403


async def test_everybody_or_nobody_may_be_told():
    async with running_proxy(metrics="open") as proxy:
        assert (await get(proxy, X_Forwarded_For="192.0.2.1"))[0] == 200
    async with running_proxy(metrics="off") as proxy:
        assert (await get(proxy, **BEARER))[0] == 404


async def test_both_formats_are_spoken():
    async with running_proxy() as proxy:
        assert (await get(proxy, Accept="text/plain", **BEARER))[1].count("# TYPE") > 20
        openmetrics = (await get(proxy, Accept="application/openmetrics-text; version=1.0.0", **BEARER))[1]
        assert openmetrics.endswith("# EOF\n")


# ── What is told ──────────────────────────────────────────────────────────────────────────────────────────


async def test_sessions_and_clients_are_counted_by_state_and_kind(echo_server):
    async with running_proxy(tokens=parse_tokens('[tokens.ada]\ntoken = "a"')) as proxy:
        page = Page(proxy.url, "a")
        await page.open()
        async with proxy.page(), connect(proxy, f"/posix?token={ENCODED_TOKEN}"):
            now = await sample(proxy)
            assert now("pynet_sessions", state="attached") == 2
            assert now("pynet_clients", kind="posix") == 1
            assert now("pynet_token_sessions", token="ada") == 1
            assert now("pynet_token_sessions", token="") == 2
            page.cut()
            await until(lambda: any(each.carriage.detached for each in proxy.sessions))
            now = await sample(proxy)
            assert now("pynet_sessions", state="attached") == now("pynet_sessions", state="detached") == 1
        await page.open()
        await page.close()


async def test_sockets_are_counted_by_kind_and_state(echo_server, unanswering_port):
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        await page.connect(*echo_server.address).connected()
        page.connect(*unanswering_port.address)
        page.stream()
        await page.stream().listen()
        await page.datagrams().associate(*echo_server.address)
        half = page.connect(*echo_server.address)
        await half.connected()
        half.shutdown()
        await until(lambda: proxy.sessions.sockets == 6)
        now = await sample(proxy)
        assert now("pynet_sockets", kind="tcp", state="connecting") == 1
        assert now("pynet_sockets", kind="tcp", state="connected") == 1
        assert now("pynet_sockets", kind="listener", state="idle") == 1
        assert now("pynet_sockets", kind="listener", state="listening") == 1
        assert now("pynet_sockets", kind="udp", state="associated") == 1
        assert now.sum("pynet_sockets") in (5, 6)  # the host may have ended its half too


async def test_bytes_are_counted_while_sockets_live_and_afterwards(echo_server):
    async with running_proxy() as proxy, proxy.page() as page:
        socket = page.connect(*echo_server.address)
        await socket.send(pattern(50_000))
        await socket.read(50_000)
        for _ in range(2):
            now = await sample(proxy)
            assert now("pynet_host_sent_bytes_total", token="", kind="tcp") == 50_000
            assert now("pynet_host_received_bytes_total", token="", kind="tcp") == 50_000
            assert 50_000 < now("pynet_carrier_sent_bytes_total", carrier="websocket") < 55_000
            assert 50_000 < now("pynet_carrier_received_bytes_total", carrier="websocket") < 55_000
            socket.close()
            await until(lambda: not proxy.sessions.sockets)


async def test_every_carrier_counts_its_bytes(echo_server):
    path = f"/websockify/{echo_server.host}/{echo_server.port}?token={ENCODED_TOKEN}"
    async with running_proxy() as proxy:
        async with Exchanges(proxy.url, TOKEN) as exchanges:
            await exchanges.make()
        async with connect(proxy, path) as socket:
            await socket.send(pattern(1000))
            await socket.recv()
        with WebSite(cors=False) as site:
            await ask(proxy, message(hello(TOKEN), Relay(0)), asked(f"{site.url}/range"))
        now = await sample(proxy)
        assert now("pynet_carrier_sent_bytes_total", carrier="http") > 0
        assert now("pynet_carrier_sent_bytes_total", carrier="websockify") == 1000
        assert now("pynet_carrier_received_bytes_total", carrier="websockify") == 1000
        assert now("pynet_carrier_sent_bytes_total", carrier="relay") == 1000
        assert now("pynet_decisions_total", event="fetch", decision="allowed") == 1
        for session in list(proxy.sessions):
            session.end()


async def test_what_is_held_is_told():
    with Source(8 << 20) as peer:
        async with running_proxy() as proxy, proxy.page(window=4 << 20) as page:
            page.connect(*peer.address)
            await until(lambda: proxy.sessions.buffered)
            page.cut()
            await until(lambda: proxy.sessions.buffered > 400_000)
            now = await sample(proxy)
            assert now("pynet_buffered_bytes") > 400_000
            assert 400_000 < now("pynet_replay_bytes") <= now("pynet_buffered_bytes")


async def test_refusals_are_counted_by_rule_and_no_page_makes_labels(echo_server):
    async with running_proxy(
        Limits(sockets_per_session=50), deny=[Rule.parse("*.evil.example:*"), Rule.parse("10.0.0.0/8:*")]
    ) as proxy:
        async with proxy.page() as page:
            for number in range(20):
                with pytest.raises(ResetError):
                    await page.connect(f"10.0.0.{number}", number + 1).connected()
            with pytest.raises(FailedError):
                await page.stream().listen()
        for number in range(5):
            with pytest.raises(RefusedError):
                await Page(proxy.url, f"wrong {number}").open()
        now = await sample(proxy)
        assert now("pynet_refusals_total", rule="10.0.0.0/8:*") == 20
        assert now("pynet_refusals_total", rule="listen") == 1
        assert now("pynet_admission_refusals_total", code="token") == 5
        labels = {labels for name, labels in now.values if name == "pynet_refusals_total"}
        assert len(labels) == 2


async def test_datagrams_and_lookups_are_counted():
    limits = Limits(datagrams_per_second=1, datagram_burst=5)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        with UdpEcho() as echo:
            socket = page.datagrams()
            start = time.monotonic()
            for _ in range(50):
                socket.send(b"x", *echo.address)
            await until(lambda: socket.dropped >= 40)
        await page.resolve("localhost")
        with pytest.raises(FailedError):
            await page.resolve("nowhere.invalid")
        now = await sample(proxy)
        assert now("pynet_datagrams_dropped_total") >= 44 - (time.monotonic() - start)
        assert now("pynet_lookups_total", result="found") >= 1
        assert now("pynet_lookups_total", result="failed") >= 1
        assert now("pynet_lookups_in_progress") == 0


async def test_what_a_token_has_moved_stays_counted_when_it_is_gone(echo_server):
    async with running_proxy(tokens=parse_tokens('[tokens.ada]\ntoken = "a"')) as proxy:
        async with Page(proxy.url, "a") as page:
            socket = page.connect(*echo_server.address)
            await socket.send(b"hello")
            await socket.recv()
            know(proxy, "[tokens]")
            await until(lambda: not len(proxy.sessions))
        now = await sample(proxy)
        assert now("pynet_host_sent_bytes_total", token="ada", kind="tcp") == 5
        assert ("pynet_token_sessions", frozenset({("token", "ada")})) not in now.values


async def test_the_process_and_the_loop_are_told_of(monkeypatch):
    monkeypatch.setattr("pynet_browser.proxy.lag.INTERVAL", 60)
    async with running_proxy() as proxy:
        now = await sample(proxy)
        assert now("process_open_fds") > 3
        assert now("process_resident_memory_bytes") > 1 << 20
        assert now("pynet_event_loop_lag_max_seconds") == 0


async def test_a_loop_that_stands_still_is_noticed(monkeypatch):
    monkeypatch.setattr("pynet_browser.proxy.lag.INTERVAL", 0.02)
    lag = LoopLag()
    start = time.monotonic()
    lag.start()
    await asyncio.sleep(0.1)
    time.sleep(0.15)  # noqa: ASYNC251 - that is what is to be noticed
    await asyncio.sleep(0.05)
    lag.stop()
    assert 0.1 < lag.recent_max < time.monotonic() - start
    assert lag.cumulative[-1] > lag.cumulative[5]
    assert lag.total >= lag.recent_max


async def test_the_document_names_every_metric():
    async with running_proxy(deny=[Rule.parse("10.0.0.0/8:*")]) as proxy, proxy.page() as page:
        with pytest.raises(ResetError):
            await page.connect("10.0.0.1", 1).connected()
        _, text = await get(proxy, **BEARER)
    ours = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE pynet_")}
    document = (ROOT / "docs" / "administration.md").read_text("utf-8")
    assert len(ours) > 15
    assert {name for name in ours if f"`{name}`" not in document} == set()
