"""Named tokens while the proxy runs: what each opens, and what becomes of who came with one that ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import websockets

from pynet_browser.frames import Failed, Goaway, Refused, Relay, Response, Stream
from pynet_browser.proxy.compat import wisp_packets as wisp
from pynet_browser.proxy.config import Config, ConfigError
from pynet_browser.proxy.reloading import reload
from pynet_browser.proxy.tokens import parse_tokens
from pynet_browser.signalling import SUBPROTOCOL
from tests.proxy.carrier import RefusedError, ResetError, SessionOverError, hello
from tests.proxy.client import FailedError, Page
from tests.proxy.exchanges import Exchanges, message
from tests.proxy.foreign import closing, connect, received, refusal
from tests.proxy.process import running
from tests.proxy.running import RunningProxy, Stopwatch, running_proxy, until
from tests.proxy.test_relay import answered, ask, asked
from tests.web_site import WebSite

ADA = '[tokens.ada]\ntoken = "a"\n'
BOB = '[tokens.bob]\ntoken = "b"\n'
REVOKED = "the token 'ada' was revoked"


def config(text: str, **options: Any) -> Config:
    values: dict[str, Any] = {"token": None, "tokens": parse_tokens(text), "demo": False} | options
    return Config(**values)


@contextlib.asynccontextmanager
async def knowing(text: str, **options: Any) -> AsyncIterator[RunningProxy]:
    """A proxy that knows these tokens, and none without a name."""
    async with running_proxy(token=None, tokens=parse_tokens(text), **options) as proxy:
        yield proxy


def know(proxy: RunningProxy, text: str, **options: Any) -> None:
    """Have it know these from now on."""
    proxy.sessions.tenants.replace(config(text, **options))


def page_of(proxy: RunningProxy, token: str, **options: Any) -> Page:
    return Page(proxy.url, token, **options)


async def over(page: Page) -> SessionOverError:
    await until(lambda: page.over)
    assert page.over
    return page.over


# ── What a token opens ────────────────────────────────────────────────────────────────────────────────────


async def test_each_token_reaches_what_its_rules_allow(echo_server):
    where = f"{echo_server.host}:{echo_server.port}"
    async with (
        knowing(f'{ADA}deny = ["{where}"]\n{BOB}') as proxy,
        page_of(proxy, "a") as ada,
        page_of(proxy, "b") as bob,
    ):
        await bob.connect(*echo_server.address).connected()
        with pytest.raises(ResetError, match=f"EACCES: .*rule {where}") as caught:
            await ada.connect(*echo_server.address).connected()
        assert caught.value.code == "EACCES"
        with pytest.raises(FailedError, match="EACCES"):
            await ada.datagrams().associate(*echo_server.address)


async def test_each_token_listens_where_its_rules_allow():
    async with (
        knowing(f'{ADA}listen = ["*"]\n{BOB}') as proxy,
        page_of(proxy, "a") as ada,
        page_of(proxy, "b") as bob,
    ):
        assert (await ada.stream().listen()).port
        with pytest.raises(FailedError, match="EACCES"):
            await bob.stream().listen()


async def test_a_token_is_for_pages_of_its_own_origins():
    async with knowing(f'{ADA}origins = ["https://ada.example"]\n{BOB}') as proxy:
        async with page_of(proxy, "a", origin="https://ada.example"), page_of(proxy, "a"):
            pass
        for token, origin, complaint in [
            ("b", "https://ada.example", "the token 'bob' is not for pages from https://ada.example"),
            ("b", "https://evil.example", "the proxy refuses pages from https://evil.example"),
            ("a", "https://evil.example", "the proxy refuses pages from https://evil.example"),
        ]:
            with pytest.raises(RefusedError, match=f"origin: {complaint}"):
                await page_of(proxy, token, origin=origin).open()


async def test_every_way_in_asks_for_the_same_tokens(echo_server):
    path = f"/websockify/{echo_server.host}/{echo_server.port}"
    async with knowing(ADA) as proxy:
        for way in (path, "/posix", "/wisp/"):
            async with connect(proxy, f"{way}?token=a"):
                assert {tenant.name for tenant in proxy.sessions.tenants if tenant.members} == {"ada"}
            await until(lambda: not len(proxy.sessions))
            assert (await refusal(proxy, f"{way}?token=b"))[0] == 403
        async with connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
            await agree(socket, "a")
            await until(lambda: any(tenant.members for tenant in proxy.sessions.tenants))
        async with connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
            await agree(socket, "b")
            assert (await wisp_closing(socket))[0] == wisp.Reason.WRONG_PASSWORD
        with pytest.raises(RefusedError, match="does not know this token"):
            await page_of(proxy, "b").open()
        async with Exchanges(proxy.url, "a") as exchanges:
            await exchanges.make()
            [session] = proxy.sessions
            assert session.tenant.name == "ada"
            await exchanges.make(message(Goaway(0, "shutdown", "")), limit=0)
        status, frame, _ = await ask(proxy, message(hello("b"), Relay(0)), asked("http://127.0.0.1:1/"))
        assert (status, type(frame)) == (403, Refused)


async def agree(socket: websockets.ClientConnection, password: str) -> None:
    """Version 2 of Wisp, with a password."""
    assert isinstance(wisp.decode(await binary(socket)), wisp.Info)
    credentials = b"\x01u" + password.encode()
    await socket.send(wisp.encode(wisp.Info(2, 0, ((wisp.Extension.PASSWORD, credentials),))))


async def binary(socket: websockets.ClientConnection) -> bytes:
    data = await asyncio.wait_for(socket.recv(), 10)
    assert isinstance(data, bytes)
    return data


async def wisp_closing(socket: websockets.ClientConnection) -> tuple[int, str]:
    """The reason in the packet that closes the connection, and that of the WebSocket."""
    packet = wisp.decode(await binary(socket))
    assert isinstance(packet, wisp.Close)
    await socket.wait_closed()
    return packet.reason, socket.close_reason or ""


# ── How much it may take ──────────────────────────────────────────────────────────────────────────────────


async def test_a_token_has_only_so_many_sessions(echo_server):
    path = f"/websockify/{echo_server.host}/{echo_server.port}?token=a"
    sentence = "the token 'ada' has 2 sessions, the most it may have (tokens.ada.limits.sessions)"
    async with knowing(f"{ADA}limits = {{sessions = 2}}\n{BOB}") as proxy:
        async with page_of(proxy, "a"), connect(proxy, path):
            with pytest.raises(RefusedError) as caught:
                await page_of(proxy, "a").open()
            assert (caught.value.code, caught.value.message) == ("busy", sentence)
            assert await refusal(proxy, path) == (503, sentence)
            async with connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
                await agree(socket, "a")
                assert await wisp_closing(socket) == (wisp.Reason.THROTTLED, sentence)
            async with page_of(proxy, "b"):
                pass
        await until(lambda: not len(proxy.sessions))
        async with page_of(proxy, "a"):
            pass


async def test_a_token_has_only_so_many_sockets_in_all_of_its_sessions(echo_server):
    async with (
        knowing(f"{ADA}limits = {{sockets = 2}}\n{BOB}") as proxy,
        page_of(proxy, "a") as first,
        page_of(proxy, "a") as second,
        page_of(proxy, "b") as other,
    ):
        sockets = [page.connect(*echo_server.address) for page in (first, second)]
        for socket in sockets:
            await socket.connected()
        with pytest.raises(ResetError) as caught:
            await first.connect(*echo_server.address).connected()
        assert (caught.value.code, caught.value.message) == (
            "ENFILE",
            "the token 'ada' has 2 sockets, the most it may have (tokens.ada.limits.sockets)",
        )
        await other.connect(*echo_server.address).connected()
        sockets[1].close()
        await until(lambda: proxy.sessions.sockets == 2)
        await first.connect(*echo_server.address).connected()


async def test_a_token_has_only_so_many_visits_to_rooms():
    def enter(token: str) -> contextlib.AbstractAsyncContextManager[websockets.ClientConnection]:
        return connect(proxy, f"/signal/room?token={token}", [SUBPROTOCOL])

    async with knowing(f"{ADA}limits = {{visits = 1}}\n{BOB}") as proxy:
        rooms = proxy.rooms
        assert rooms is not None
        async with enter("a") as first:
            async with enter("a") as second:
                await asyncio.wait_for(second.wait_closed(), 10)
                assert (second.close_code, second.close_reason) == (
                    1013,
                    "the token 'ada' has 1 visits, the most it may have (tokens.ada.limits.visits)",
                )
            async with enter("b"):
                assert await asyncio.wait_for(first.recv(), 10) == "joined"  # and nobody before him
        await until(lambda: not len(rooms))
        async with enter("a"):
            await until(lambda: len(rooms))


async def test_all_sessions_of_a_token_share_the_rate_of_its_connects(echo_server):
    limits = "limits = {connects_per_second = 5, connect_burst = 2}"
    async with (
        knowing(f"{ADA}{limits}\n{BOB}") as proxy,
        page_of(proxy, "a") as first,
        page_of(proxy, "a") as second,
        page_of(proxy, "b") as other,
    ):
        watch = Stopwatch()
        for _ in range(4):
            for page in (first, second):
                await page.connect(*echo_server.address).connected()
        watch.stop(1.1, 3)
        watch = Stopwatch()
        for _ in range(8):
            await other.connect(*echo_server.address).connected()
        watch.stop(0, 1)


async def test_relayed_requests_keep_to_the_rate_of_connects_too():
    limits = "limits = {connects_per_second = 10, connect_burst = 1}"
    async with knowing(f"{ADA}{limits}") as proxy:
        with WebSite(cors=False) as site:
            watch = Stopwatch()
            for _ in range(4):
                _, frame, _ = await ask(proxy, message(hello("a"), Relay(0)), asked(f"{site.url}/"))
                assert isinstance(frame, Response)
            watch.stop(0.25, 1.5)


# ── Its end ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_that_is_revoked_ends_its_sessions_at_once_and_no_other(echo_server):
    async with knowing(ADA + BOB) as proxy, page_of(proxy, "b") as other:
        page = page_of(proxy, "a")
        await page.open()
        socket, stays = page.connect(*echo_server.address), other.connect(*echo_server.address)
        for each in (socket, stays):
            await each.connected()
        watch = Stopwatch()
        know(proxy, BOB)
        assert ((await over(page)).code, (await over(page)).message) == ("token", REVOKED)
        watch.stop(0, 1)
        with pytest.raises(SessionOverError):
            await socket.recv()
        assert len(proxy.sessions) == 1
        for session in ("", page.name):
            page.name = session
            with pytest.raises(RefusedError) as caught:
                await page.open()
            assert (caught.value.code, caught.value.message) == ("token", REVOKED)
        await stays.send(b"still")
        assert await stays.recv() == b"still"
        await page.close()


async def test_a_session_that_waits_for_its_page_ends_too():
    async with knowing(ADA) as proxy:
        page = page_of(proxy, "a")
        await page.open()
        page.cut()
        [session] = proxy.sessions
        await until(lambda: session.carriage.detached)
        know(proxy, "[tokens]")
        assert len(proxy.sessions) == 0
        with pytest.raises(RefusedError, match=f"token: {REVOKED}"):
            await page.open()
        await page.close()


async def test_an_exchange_that_waits_is_answered_with_it():
    async with knowing(ADA) as proxy, Exchanges(proxy.url, "a") as exchanges:
        await exchanges.make()
        [session] = proxy.sessions
        waiting = asyncio.create_task(exchanges.make(wait=20.0))
        await until(lambda: session.carriage.exchanges)
        know(proxy, "[tokens]")
        frames = [frame for _, frame in (await waiting).frames]
        assert frames[-1] == Goaway(0, "token", REVOKED)


async def test_a_stream_is_opened_by_the_sessions_own_token_and_ends_with_it():
    async with knowing(ADA + BOB) as proxy, aiohttp.ClientSession() as client:
        page = page_of(proxy, "a")
        await page.open()
        url = f"{proxy.url.replace('ws', 'http', 1)}/http"

        def asking(token: str, number: int) -> bytes:
            return message(hello(token, session=page.name, key=page.key), Stream(0, number))

        async with client.post(url, data=asking("b", 1)) as refused:
            assert refused.status == 403
            assert b"begun with another token" in await refused.read()
        async with client.post(url, data=asking("a", 2)) as streaming:
            assert streaming.status == 200
            assert await streaming.content.readany()  # the welcome
            know(proxy, BOB)
            await asyncio.wait_for(streaming.read(), 10)
        assert (await over(page)).message == REVOKED
        await page.close()


async def test_foreign_clients_are_closed_with_it(echo_server):
    path = f"/websockify/{echo_server.host}/{echo_server.port}?token=a"
    async with knowing(ADA) as proxy:
        async with contextlib.AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(connect(proxy, way))
                for way in (path, "/posix?token=a", "/wisp/?token=a", "/signal/room?token=a")
            ]
            await sockets[0].send(b"hello")
            assert await received(sockets[0], 5) == b"hello"
            know(proxy, BOB)
            for socket in sockets:
                assert (await closing(socket))[1:] == (1008, REVOKED)
        await until(lambda: not len(proxy.sessions))
        assert await refusal(proxy, path) == (403, REVOKED)


async def test_a_relayed_request_that_is_not_answered_yet_fails_with_it(silent_server):
    async with knowing(ADA) as proxy:
        url = f"http://{silent_server.host}:{silent_server.port}/"
        asking = asyncio.create_task(ask(proxy, message(hello("a"), Relay(0)), asked(url)))
        await until(lambda: proxy.relays.under_way and silent_server.accepted)
        know(proxy, "[tokens]")
        _, frame, _ = await asking
        assert isinstance(frame, Failed)
        assert (frame.code, frame.message) == ("EACCES", REVOKED)


async def test_an_answer_that_is_under_way_breaks_off():
    async with knowing(ADA) as proxy:
        with WebSite(cors=False) as site:
            parts = message(hello("a"), Relay(0)), asked(f"{site.url}/drip?pieces=40&pause=0.05")
            async with answered(proxy, *parts) as answer:
                await answer.content.readany()
                know(proxy, "[tokens]")
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
        await until(lambda: not proxy.relays.under_way)


async def test_a_session_goes_on_only_with_the_token_that_it_began_with():
    async with knowing(ADA + BOB) as proxy, page_of(proxy, "a") as page:
        thief = page_of(proxy, "b")
        thief.name, thief.key = page.name, page.key
        with pytest.raises(RefusedError, match="session: the session was begun with another token"):
            await thief.open()
        await page.open()


async def test_a_token_ends_by_itself_when_its_time_has_come():
    async with knowing(ADA + BOB) as proxy, page_of(proxy, "b") as other:
        page = page_of(proxy, "a")
        await page.open()
        watch = Stopwatch()
        soon = datetime.now(UTC) + timedelta(seconds=0.5)
        know(proxy, f"{ADA}expires = {soon.isoformat()}\n{BOB}")
        assert (await over(page)).message == "the token 'ada' has expired"
        await page.close()
        watch.stop(0.4, 2)
        with pytest.raises(RefusedError, match="token: the token 'ada' has expired"):
            await page_of(proxy, "a").open()
        assert other.over is None
        know(proxy, ADA)
        async with page_of(proxy, "a"):
            pass


# ── Reading the files anew ────────────────────────────────────────────────────────────────────────────────


async def test_new_rules_hold_for_what_is_opened_from_then_on(echo_server):
    where = f"{echo_server.host}:{echo_server.port}"
    async with knowing(ADA) as proxy, page_of(proxy, "a") as page:
        socket = page.connect(*echo_server.address)
        await socket.connected()
        know(proxy, f'{ADA}deny = ["{where}"]')
        with pytest.raises(ResetError, match="EACCES"):
            await page.connect(*echo_server.address).connected()
        await socket.send(b"still")
        assert await socket.recv() == b"still"
        know(proxy, ADA)
        await page.connect(*echo_server.address).connected()


async def test_connections_for_relayed_requests_are_not_used_again_under_other_rules():
    async with knowing(ADA + BOB) as proxy:
        with WebSite(cors=False) as site:
            host, port = site.url.removeprefix("http://").split(":")

            async def code_of(token: str) -> str:
                _, frame, _ = await ask(proxy, message(hello(token), Relay(0)), asked(f"{site.url}/"))
                return frame.code if isinstance(frame, Failed) else "answered"

            assert [await code_of("a"), await code_of("b")] == ["answered", "answered"]
            know(proxy, f'{ADA}deny = ["{host}:{port}"]\n{BOB}')
            assert [await code_of("a"), await code_of("b")] == ["EACCES", "answered"]


async def test_wrong_files_leave_everything_as_it_was_and_the_log_says_why(caplog):
    def wrong() -> Config:
        raise ConfigError("tokens.toml: tokens.ada: it needs either token or sha256")

    async with knowing(ADA) as proxy, page_of(proxy, "a") as page:
        assert not reload(proxy.sessions.tenants, wrong)
        assert page.over is None
        async with page_of(proxy, "a"):
            pass
        assert "tokens and rules stay as they were: tokens.toml: tokens.ada: it needs" in caplog.text
        assert reload(proxy.sessions.tenants, lambda: config(BOB))
        assert (await over(page)).message == REVOKED


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
async def test_the_signal_has_the_command_line_proxy_read_them(tmp_path, echo_server):
    tokens, settings = tmp_path / "tokens.toml", tmp_path / "proxy.toml"
    tokens.write_text(ADA + BOB)
    settings.write_text(f'tokens = "{tokens}"\n')
    async with running("--no-demo") as proxy:  # it has no files: its terminal was closed
        assert (await proxy.stop(signal.SIGHUP))[0] == -signal.SIGHUP
    async with running("--config", str(settings), "--no-demo") as proxy:
        assert proxy.token is None
        assert 'token="…"' in proxy.output
        assert "It knows 2 named tokens" in proxy.output
        page, other = Page(proxy.ws_url, "a"), Page(proxy.ws_url, "b")
        async with other:
            await page.open()
            await other.connect(*echo_server.address).connected()
            tokens.write_text("[tokens")
            proxy.process.send_signal(signal.SIGHUP)
            assert proxy.process.stderr
            assert b"stay as they were" in await asyncio.wait_for(proxy.process.stderr.readline(), 10)
            assert page.over is None
            tokens.write_text(BOB)
            settings.write_text(f'tokens = "{tokens}"\ndeny = ["{echo_server.host}:{echo_server.port}"]\n')
            proxy.process.send_signal(signal.SIGHUP)
            assert (await over(page)).message == REVOKED
            with pytest.raises(ResetError, match="EACCES"):
                await other.connect(*echo_server.address).connected()
