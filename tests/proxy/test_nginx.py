"""Two proxies behind a real nginx, with the configuration that docs/operations.md explains."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from pynet_browser.frames import Stream, Welcome
from pynet_browser.wire import MessageReader, frames_of
from tests.machine import find_nginx
from tests.peers import pattern
from tests.proxy.carrier import RefusedError, hello
from tests.proxy.client import Page
from tests.proxy.exchanges import Exchanges, message
from tests.proxy.running import TOKEN, RunningProxy, running_proxy, until
from tests.servers import Nginx
from tests.tls.certificates import make

pytestmark = pytest.mark.skipif(
    find_nginx() is None, reason="nginx is not installed: run `python tests/machine.py nginx`"
)

NAME = "pynet.example"
PAGE = f"https://{NAME}"
SIZE = 1 << 20


@contextlib.asynccontextmanager
async def two_behind(certificate=None, **options):
    async with running_proxy(**options) as one, running_proxy(**options) as two:
        # What waits for a program must not keep the proxies from running: they are in this process.
        nginx = Nginx(one.address, two.address, certificate)
        await asyncio.to_thread(nginx.__enter__)
        try:
            yield nginx, one, two
        finally:
            await asyncio.to_thread(nginx.stop)


@pytest.fixture
async def behind():
    async with two_behind() as running:
        yield running


def address(nginx: Nginx, key: str) -> str:
    return f"ws://{nginx.host}:{nginx.port}/pynet?affinity={key}"


def name_of(proxy: RunningProxy) -> set[str]:
    return {session.name for session in proxy.sessions}


async def test_the_configuration_as_it_is_shipped_is_valid(behind):
    nginx, _, _ = behind
    assert await asyncio.to_thread(nginx.check) == ""


async def test_all_carriers_of_a_session_are_at_one_proxy(behind, echo_server):
    nginx, one, two = behind
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            url = address(nginx, secrets.token_hex(8))
            page = await stack.enter_async_context(Page(url, TOKEN))
            exchanges = await stack.enter_async_context(Exchanges(url, TOKEN))
            exchanges.name, exchanges.key = page.name, page.key
            answer = await exchanges.make(limit=0)  # another proxy would not know the session
            assert answer.welcome.session == page.name
            page.cut()
            await page.lost()
            await page.open()
        # One of 2^15 runs would have all at the same.
        assert name_of(one)
        assert name_of(two)
        assert len(name_of(one)) + len(name_of(two)) == 16
        connection = page.connect(*echo_server.address)
        data = pattern(SIZE)
        _, echoed = await asyncio.gather(connection.send(data), connection.read(SIZE))
        assert echoed == data
        connection.close()


async def test_what_a_stream_brings_does_not_wait_for_its_end(behind):
    nginx, _, _ = behind
    url = address(nginx, "stream")
    async with Page(url, TOKEN) as page, aiohttp.ClientSession() as client:
        body = message(hello(TOKEN, session=page.name, key=page.key), Stream(0, 1))
        async with client.post(f"http{url[2:].replace('?', '/http?')}", data=body) as answer:
            piece = await asyncio.wait_for(answer.content.readany(), 5)
            [greeting] = [frame for each in MessageReader().feed(piece) for frame in frames_of(each.body)]
            assert isinstance(greeting, Welcome)
            assert not answer.content.at_eof()


async def test_one_is_taken_out_of_service_and_its_sessions_stay(behind, echo_server):
    nginx, one, two = behind
    async with contextlib.AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(Page(address(nginx, secrets.token_hex(8)), TOKEN))
            for _ in range(8)
        ]
        before = len(one.sessions)
        await asyncio.to_thread(nginx.reload, "one")
        new = [
            await stack.enter_async_context(Page(address(nginx, secrets.token_hex(8)), TOKEN))
            for _ in range(8)
        ]
        assert (len(one.sessions), len(two.sessions)) == (before, 16 - before)
        for page in (*pages, *new):
            connection = page.connect(*echo_server.address)
            await connection.send(b"hello")
            assert await connection.read(5) == b"hello"
            connection.close()


async def test_a_proxy_that_is_gone_is_passed_over(behind):
    nginx, one, two = behind
    await one.stop()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(Page(address(nginx, secrets.token_hex(8)), TOKEN))
        assert len(two.sessions) == 8


async def test_the_log_has_neither_tokens_nor_keys(behind):
    nginx, _, _ = behind
    base = f"http://{nginx.host}:{nginx.port}"
    async with aiohttp.ClientSession() as client:
        async with client.ws_connect(f"{base}/wisp/{TOKEN}/?token={TOKEN}&affinity=a-key"):
            pass
        async with client.get(f"{base}/healthz") as answer:
            assert answer.status == 200
    await until(lambda: " /wisp 101 " in nginx.log() and " /healthz 200 " in nginx.log())
    assert TOKEN.split()[0] + "%20" not in nginx.log()
    assert TOKEN not in nginx.log()
    assert "a-key" not in nginx.log()


async def test_what_programs_on_the_proxy_s_machine_may_read_is_not_for_everybody():
    async with two_behind(metrics="loopback") as (nginx, one, _), aiohttp.ClientSession() as client:
        for port, status in ((one.address[1], 200), (nginx.port, 403)):
            async with client.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == status


# ── TLS in front ──────────────────────────────────────────────────────────────────────────────────────────


class Here(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def tls_page(authority, tmp_path):
    """Two proxies behind TLS, and what a page of NAME sees of them: as at port 443, its Host has none."""
    certificate = make(tmp_path, "named", NAME, issuer=authority.root).file

    @contextlib.asynccontextmanager
    async def opened(**options):
        async with two_behind(certificate, **options) as (nginx, _, _):
            site = f"{PAGE}:{nginx.port}/"
            url = f"{site.replace('https', 'wss')}pynet?affinity=one-key"
            async with Exchanges(url, TOKEN, origin=PAGE) as page:
                await page.client.close()
                context = ssl.create_default_context(cafile=authority.root.file)
                connector = aiohttp.TCPConnector(resolver=Here(), ssl=context)
                page.client = aiohttp.ClientSession(site, connector=connector, headers={"Host": NAME})
                yield page

    return opened


async def test_behind_tls_the_proxy_must_be_told_name_and_origin(tls_page):
    async with tls_page(hostnames=(NAME,), origins=(PAGE,)) as page:
        assert (await page.make(limit=0)).welcome.session
        headers = {"Origin": PAGE}
        async with page.client.ws_connect("/pynet", headers=headers, protocols=["pynet.v1"]) as websocket:
            assert websocket.protocol == "pynet.v1"


async def test_without_the_origin_the_proxy_s_own_pages_are_refused(tls_page):
    async with tls_page(hostnames=(NAME,)) as page:
        with pytest.raises(RefusedError, match=f"--origin {PAGE}") as refused:
            await page.make(limit=0)
        assert refused.value.code == "origin"


async def test_without_the_name_nothing_is_answered(tls_page):
    async with tls_page(origins=(PAGE,)) as page, page.client.get("/healthz") as answer:
        assert answer.status == 421
        assert f"--hostname {NAME}" in await answer.text()


async def test_forwarded_headers_change_nothing(tls_page):
    async with tls_page(hostnames=(NAME,)) as page:
        forged = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": NAME, "Forwarded": "proto=https"}
        assert (await page.post(page.greeting(limit=0), **forged)).status == 403
