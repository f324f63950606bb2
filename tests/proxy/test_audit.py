"""The log of decisions: what was allowed and refused, to whom, and what came of it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any
from urllib.parse import quote

import pytest

from pynet_browser.frames import Listen, Relay, Response
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.logs import FIELDS
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tokens import parse_tokens
from tests.peers import pattern
from tests.proxy.carrier import RefusedError, ResetError, hello
from tests.proxy.client import FailedError, Page
from tests.proxy.exchanges import GOODBYE, Exchanges, message
from tests.proxy.foreign import connect, received, refusal
from tests.proxy.hosts import UdpEcho
from tests.proxy.posix_peer import Program
from tests.proxy.process import running
from tests.proxy.running import listening, running_proxy, until
from tests.proxy.test_relay import ask, asked
from tests.web_site import WebSite


class Lines:
    """What was logged of decisions."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level(logging.INFO, "pynet_browser.audit")

    def __call__(self, event: str = "", decision: str = "") -> list[dict[str, Any]]:
        found = [getattr(record, FIELDS) for record in self._caplog.records if hasattr(record, FIELDS)]
        return [line for line in found if event in ("", line["event"]) and decision in ("", line["decision"])]

    async def one(self, event: str, decision: str = "") -> dict[str, Any]:
        await until(lambda: self(event, decision))
        [line] = self(event, decision)
        return line


@pytest.fixture
def lines(caplog):
    return Lines(caplog)


async def test_a_connection_has_a_line_when_it_stands_and_one_when_it_is_gone(lines, echo_server):
    where = f"127.0.0.1:{echo_server.port}"
    async with running_proxy() as proxy, proxy.page() as page:
        socket = page.connect("localhost", echo_server.port)
        await socket.send(pattern(1000))
        await socket.read(1000)
        allowed = await lines.one("connect")
        assert (allowed["decision"], allowed["protocol"]) == ("allowed", "tcp")
        assert (allowed["target"], allowed["address"]) == (f"localhost:{echo_server.port}", where)
        assert (allowed["session"], allowed["remote"]) == (page.name, "127.0.0.1")
        socket.close()
        gone = await lines.one("close")
        assert (gone["bytes_received"], gone["bytes_sent"]) == (1000, 1000)
        assert gone["target"] == allowed["target"]
        assert 0 <= gone["seconds"] < 5
        assert "reason" not in gone


async def test_what_is_refused_says_by_which_rule(lines, echo_server):
    rule = f"{echo_server.host}:{echo_server.port}"
    async with (
        running_proxy(deny=[Rule.parse(rule), Rule.parse("udp:10.0.0.0/8:*")]) as proxy,
        proxy.page() as page,
    ):
        with pytest.raises(ResetError):
            await page.connect(*echo_server.address).connected()
        line = await lines.one("connect", "refused")
        assert (line["rule"], line["target"], line["reason"]) == (rule, rule, "EACCES")
        with pytest.raises(FailedError):
            await page.datagrams().associate("10.0.0.1", 9)
        page.datagrams().send(b"x", "10.0.0.2", 9)
        await until(lambda: len(lines("connect", "refused")) == 3)
        assert {each["rule"] for each in lines("connect", "refused")[1:]} == {"udp:10.0.0.0/8:*"}
        with pytest.raises(FailedError):
            await page.stream().listen()
        assert (await lines.one("listen"))["rule"] == "listen"
        assert proxy.sessions.audit.refusals == {rule: 1, "udp:10.0.0.0/8:*": 2, "listen": 1}


async def test_names_that_the_policy_hides_are_told_of(lines):
    deny = [Rule.parse("127.0.0.0/8:*"), Rule.parse("[::1]:*")]
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        with pytest.raises(FailedError, match="EAI_NONAME"):
            await page.resolve("localhost")
        line = await lines.one("resolve", "refused")
        assert line["target"] == "localhost"
        assert line["rule"] in ("127.0.0.0/8:*", "[::1]:*")


async def test_what_a_host_refuses_is_no_refusal_of_the_proxy(lines, refusing_port):
    async with running_proxy() as proxy, proxy.page() as page:
        with pytest.raises(ResetError):
            await page.connect(*refusing_port.address).connected()
        line = await lines.one("connect")
        assert (line["decision"], line["reason"]) == ("failed", "ECONNREFUSED")
        assert proxy.sessions.audit.refusals == {}
        assert lines("close") == []


async def test_limits_are_told_of_by_their_name(lines, echo_server):
    limits = Limits(sockets_per_session=1, connects_per_second=1, connect_burst=1)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        await page.connect(*echo_server.address).connected()
        with pytest.raises(ResetError):
            await page.connect(*echo_server.address).connected()
        assert (await lines.one("connect", "refused"))["rule"] == "limits.sockets_per_session"
    async with running_proxy(limits) as proxy, proxy.page() as page:
        page.connect(*echo_server.address).reset()
        with pytest.raises(ResetError):
            await page.connect(*echo_server.address, timeout=50).connected()
        assert proxy.sessions.audit.refusals == {"limits.connects_per_second": 1}


async def test_sessions_begin_come_back_and_end(lines):
    text = '[tokens.ada]\ntoken = "a"\norigins = ["https://a.example"]'
    async with running_proxy(tokens=parse_tokens(text)) as proxy:
        async with Page(proxy.url, "a", origin="https://a.example") as page:
            page.cut()
            await page.open()
        await until(lambda: lines("session", "ended"))
    decisions = [line["decision"] for line in lines("session")]
    assert decisions == ["allowed", "resumed", "ended"]
    assert {(line["session"], line["token"], line["origin"]) for line in lines("session")} == {
        (page.name, "ada", "https://a.example")
    }


async def test_whoever_is_not_let_in_is_told_of(lines, echo_server):
    async with running_proxy() as proxy:
        with pytest.raises(RefusedError):
            await Page(proxy.url, "wrong").open()
        with pytest.raises(RefusedError):
            await Page(proxy.url, "x", origin="https://evil.example").open()
        assert (await refusal(proxy, "/posix"))[0] == 403
        found = [(line["decision"], line["reason"], line.get("origin", "")) for line in lines("admit")]
        assert found == [
            ("refused", "token", ""),
            ("refused", "origin", "https://evil.example"),
            ("refused", "token", ""),
        ]
        assert proxy.sessions.door.refusals == {"token": 2, "origin": 1}


async def test_listeners_and_whom_they_accept_are_told_of(lines):
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        listener = page.stream()
        local = await listener.listen()
        reader, writer = await asyncio.open_connection(*local[1:])
        socket = await listener.accept()
        await socket.send(b"hello")
        assert await reader.readexactly(5) == b"hello"
        where = f"127.0.0.1:{local.port}"
        assert (await lines.one("listen"))["address"] == where
        accepted = await lines.one("accept")
        assert accepted["address"] == where
        assert accepted["target"].startswith("127.0.0.1:")
        writer.close()
        page.send(Listen(99, listener.id, 1))


async def test_peers_of_datagram_sockets_are_told_of_once(lines):
    async with running_proxy() as proxy, proxy.page() as page:
        with UdpEcho() as echo:
            socket = page.datagrams()
            for _ in range(5):
                socket.send(b"hello", *echo.address)
                await socket.queue.get()
            line = await lines.one("connect")
            assert (line["protocol"], line["address"]) == ("udp", f"127.0.0.1:{echo.address[1]}")
            socket.close()
            gone = await lines.one("close")
            assert (gone["bytes_received"], gone["bytes_sent"]) == (25, 25)


async def test_relayed_requests_have_a_line_without_what_may_be_secret(lines, refusing_port):
    async with running_proxy(deny=[Rule.parse("127.0.0.2:*")]) as proxy:
        greeting = message(hello("the token of these tests"), Relay(0))
        with WebSite(cors=False) as site:
            url = site.url.replace("://", "://user:s3cret@")
            _, frame, body = await ask(proxy, greeting, asked(f"{url}/range?key=s3cret#s3cret"))
            assert isinstance(frame, Response)
        line = await lines.one("fetch")
        assert (line["decision"], line["method"], line["status"]) == ("allowed", "GET", 200)
        assert line["target"] == f"{site.url}/range"
        assert line["bytes_received"] == len(body) == 1000
        await ask(proxy, greeting, asked("http://127.0.0.2/"))
        assert (await lines.one("fetch", "refused"))["rule"] == "127.0.0.2:*"
        await ask(proxy, greeting, asked(f"http://127.0.0.1:{refusing_port.port}/"))
        assert (await lines.one("fetch", "failed"))["reason"] == "ECONNREFUSED"
        assert "s3cret" not in str(lines())


async def test_a_page_that_floods_the_log_is_cut_short_and_counted(lines):
    async with running_proxy(deny=[Rule.parse("*:9")]) as proxy, proxy.page() as page:
        socket = page.datagrams()
        start = time.monotonic()
        for _ in range(3000):
            socket.send(b"x", "10.0.0.1", 9)
        await until(lambda: proxy.sessions.audit.refusals["*:9"] == 3000)
        assert len(lines()) < 230 + 20 * (time.monotonic() - start)
    await lines.one("session", "ended")
    assert sum(line.get("suppressed", 0) for line in lines()) == proxy.sessions.audit.suppressed > 2000


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_token_and_no_key_is_in_any_log_of_a_busy_run(form, tmp_path, echo_server, refusing_port):
    secrets = ["the-general-s3cret", "adas s3cret/with=more", "the-metrics-s3cret"]
    general, ada, metrics = secrets
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'[tokens.ada]\ntoken = "{ada}"\n')
    options = ["--log-format", form, "--verbose", "--no-demo", "--listen", "*", "--metrics-token", metrics]
    async with running("--token", general, "--tokens", str(tokens), *options) as proxy:
        keys = []
        for token in (general, ada):
            async with Page(proxy.ws_url, token) as page:
                keys.append(page.key)
                socket = page.connect(*echo_server.address)
                await socket.send(b"hello")
                await socket.recv()
                await page.stream().listen()
                with pytest.raises(ResetError):
                    await page.connect(*refusing_port.address).connected()
                page.cut()
                await page.open()
            with pytest.raises(RefusedError):
                await Page(proxy.ws_url, token + "x").open()
            async with Exchanges(proxy.ws_url, token) as exchanges:
                await exchanges.make()
                keys.append(exchanges.key)
                await exchanges.make(GOODBYE, limit=0)
            await foreign(proxy.port, quote(token, safe=""), echo_server)
        status, _ = await proxy.stop()
        assert status == 0
        assert proxy.process.stderr
        log = (await proxy.process.stderr.read()).decode()
    assert log.count("connect") >= 10
    for secret in [*secrets, *keys, *(quote(each, safe="") for each in secrets)]:
        assert secret not in log
    for line in log.splitlines():
        assert json.loads(line)["time"] if form == "json" else line.startswith("time=")


async def foreign(port: int, token: str, echo_server) -> None:
    """What foreign clients do, with the token wherever it may stand."""

    class At:
        base = f"ws://127.0.0.1:{port}"

    path = f"/websockify/{echo_server.host}/{echo_server.port}"
    for way, protocols in [(f"{path}?token={token}", []), (path, ["binary", f"token.{token}"])]:
        async with connect(At, way, protocols) as socket:  # type: ignore[arg-type]
            await socket.send(b"hello")
            assert await received(socket, 5) == b"hello"
    async with connect(At, f"/wisp/{token}/"), connect(At, f"/posix?token={token}") as socket:  # type: ignore[arg-type]
        program = Program(socket)
        await program.connected(*echo_server.address)
        program.reading.cancel()
