from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from websockets.exceptions import InvalidMessage

from pynet_browser.proxy.workers.placement import worker_of
from tests.proxy.carrier import Carrier, RefusedError, hello
from tests.proxy.client import Page
from tests.proxy.exchanges import Exchanges, connecting
from tests.proxy.process import Proxy, running
from tests.proxy.running import until

KEYS = {worker_of(key, 2): key for key in map(str, range(20))}
"""A key of each worker."""


@pytest.fixture
async def workers(request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    drain = getattr(request, "param", 1)
    arguments = ["--token", "t", "--no-demo", "--log-format", "json", "--drain", str(drain)]
    async with running("--workers", "2", *arguments) as proxy:
        yield proxy


def url_at(proxy: Proxy, number: int) -> str:
    return f"{proxy.ws_url}?affinity={KEYS[number]}"


def page_at(proxy: Proxy, number: int) -> Page:
    return Page(url_at(proxy, number), "t")


def processes_of(proxy: Proxy) -> set[int]:
    """Those that the proxy has started."""
    pid = proxy.process.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def log_of(proxy: Proxy) -> str:
    """What it has written, when it has ended."""
    await proxy.stop()
    assert proxy.process.stderr
    return (await proxy.process.stderr.read()).decode()


async def echoed(page: Page, address: tuple[str, int], data: bytes = b"hello") -> bytes:
    connection = page.connect(*address)
    await connection.send(data)
    answer = await connection.read(len(data))
    connection.close()
    return answer


async def test_what_carries_a_session_meets_in_one_worker(workers, echo_server):
    for number in (0, 1):
        await check_meeting(workers, number, echo_server)
    assert '"remote": "127.0.0.1"' in await log_of(workers)


async def check_meeting(workers, number, echo_server):
    async with page_at(workers, number) as page:
        assert await echoed(page, echo_server.address) == b"hello"
        page.cut()
        await page.lost()
        await page.open()  # which resumes it
        assert await echoed(page, echo_server.address) == b"hello"
        session, key = page.welcome.session, page.welcome.key
        page.cut()
        await page.lost()
        async with Exchanges(url_at(workers, number), "t") as same:
            same.name, same.key, same.seen = session, key, page.link.received
            assert (await same.make(limit=0)).welcome.session == session
        async with Exchanges(url_at(workers, 1 - number), "t") as other:
            other.name, other.key = session, key
            with pytest.raises(RefusedError, match="session"):
                await other.make(limit=0)


async def test_requests_of_another_workers_session_on_one_connection_get_there(workers, echo_server):
    made = []
    trace = aiohttp.TraceConfig()

    async def count(*_: object) -> None:
        made.append(1)

    trace.on_connection_create_end.append(count)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as client:
        both = [Exchanges(url_at(workers, number), "t") for number in (0, 1)]
        for each in both:
            each.client = client
            await each.make(connecting(echo_server, b"x" * 100_000), wait=5)
        for each in both:
            assert await each.received(100_000) == b"x" * 100_000
        async with client.get(f"{workers.url}/nothing?affinity={KEYS[1]}") as response:
            assert response.status == 404
    assert len(made) == 1
    assert '"remote": ""' not in await log_of(workers)


async def test_a_websocket_on_a_connection_of_another_worker_gets_there(workers):
    # As behind a balancer that uses connections again: the first request decides where a connection goes.
    async with page_at(workers, 1) as page:
        connection = socket.create_connection((workers.host, workers.port))
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        head = f"GET /healthz?affinity={KEYS[0]} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await loop.sock_sendall(connection, head.encode())
        answer = b""
        while b'"ok"' not in answer:
            answer += await loop.sock_recv(connection, 4096)
        page.cut()
        await page.lost()
        carrier = await Carrier.open(url_at(workers, 1), sock=connection)
        greeting = hello("t", session=page.welcome.session, key=page.welcome.key, seen=page.link.received)
        assert (await carrier.greet(greeting)).session == page.welcome.session
        await carrier.socket.close(4321, "done")
        assert carrier.socket.close_code in (1000, 4321)


async def test_a_request_that_breaks_off_on_its_way_to_another_worker_harms_nobody(workers):
    async with page_at(workers, 1) as page:
        reader, writer = await asyncio.open_connection(workers.host, workers.port)
        for number, more in ((0, ""), (1, "Content-Length: 5000\r\n")):
            target = f"/pynet/http?affinity={KEYS[number]}"
            writer.write(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
            if not number:
                assert b" 400 " in await reader.readline()
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()
        assert (await page.resolve("127.0.0.1")).addresses
    assert "Traceback" not in await log_of(workers)


async def test_a_worker_that_dies_is_replaced_and_the_others_sessions_notice_nothing(workers, echo_server):
    async with page_at(workers, 0) as first, page_at(workers, 1) as second:
        pages = [first, second]
        connections = [page.connect(*echo_server.address) for page in pages]
        for connection in connections:
            await connection.connected()
        before = processes_of(workers)
        assert len(before) == 2
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        lost = [asyncio.create_task(page.lost()) for page in pages]
        done, [pending] = await asyncio.wait(lost, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        gone = 0 if lost[0] in done else 1
        async with contextlib.AsyncExitStack() as stack:
            again = await let_in(stack, workers, gone)
            assert await echoed(again, echo_server.address) == b"hello"
        stays = connections[1 - gone]
        await stays.send(b"still here")
        assert await stays.read(10) == b"still here"
        assert not pending.done()
        pending.cancel()
        after = processes_of(workers)
        assert len(after) == 2
        assert after & before == before - {victim}
    assert "ended with status -9" in await log_of(workers)


async def let_in(stack: contextlib.AsyncExitStack, proxy: Proxy, number: int) -> Page:
    """A page that tries again, as pages do: what a worker was handed while it died is cut."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ConnectionError, InvalidMessage):
                return await stack.enter_async_context(page_at(proxy, number))


async def test_who_says_nothing_holds_nobody(workers, echo_server):
    address = (workers.host, workers.port)
    silent = [await asyncio.open_connection(*address) for _ in range(300)]  # more than may wait
    for _, writer in silent[:100]:
        writer.write(b"GET /heal")
    async with asyncio.timeout(10), page_at(workers, 0) as first, page_at(workers, 1) as second:
        for page in (first, second):
            assert await echoed(page, echo_server.address) == b"hello"
    for _, writer in silent[:100]:
        writer.write(b"thz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    for reader, _ in silent[:100]:
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 10)
    for _, writer in silent:
        writer.close()


@pytest.mark.parametrize("workers", [30], indirect=True)
async def test_a_signal_lets_pages_finish_and_then_everything_ends(workers, echo_server):
    processes = processes_of(workers)
    async with page_at(workers, 0) as first, page_at(workers, 1) as second:
        connections = [page.connect(*echo_server.address) for page in (first, second)]
        for connection in connections:
            await connection.connected()
        workers.process.send_signal(signal.SIGTERM)
        for page, connection in zip((first, second), connections, strict=True):
            await asyncio.wait_for(page.draining.wait(), 10)
            await connection.send(b"last")
            assert await connection.read(4) == b"last"
            connection.close()
        assert await asyncio.wait_for(workers.process.wait(), 20) == 0
    assert not any(map(runs, processes))


async def test_workers_end_when_their_parent_is_gone(workers):
    processes = processes_of(workers)
    workers.process.kill()
    await until(lambda: not any(map(runs, processes)), 30)


async def test_all_workers_together_keep_to_the_limits(tmp_path):
    file = tmp_path / "proxy.toml"
    file.write_text('token = "t"\ndemo = false\nworkers = 2\n[limits]\nsessions = 4\n')
    async with running("--config", str(file)) as workers, contextlib.AsyncExitStack() as stack:
        for number in (0, 1):
            for _ in range(2):
                await stack.enter_async_context(page_at(workers, number))
            with pytest.raises(RefusedError, match="busy"):
                await stack.enter_async_context(page_at(workers, number))


async def test_metrics_are_those_of_all_workers(workers):
    headers = {"Authorization": "Bearer t"}
    async with page_at(workers, 0), page_at(workers, 1), aiohttp.ClientSession(headers=headers) as session:
        for path in ("/metrics", "/metrics", f"/metrics?affinity={KEYS[1]}"):
            async with session.get(workers.url + path, headers={"Connection": "close"}) as response:
                assert 'pynet_sessions{state="attached"} 2.0\n' in await response.text()
        async with session.get(f"{workers.url}/metrics", headers={"Authorization": "Bearer x"}) as response:
            assert response.status == 401


async def test_the_demos_services_are_there_for_every_worker():
    async with running("--workers", "2", "--token", "t") as workers, aiohttp.ClientSession() as session:
        services = []
        for number in (0, 1):
            url = f"{workers.url}/demo/services.json?affinity={KEYS[number]}"
            async with session.get(url) as response:
                services.append(await response.json())
            async with page_at(workers, number) as page:
                echo = services[0]["echo"]
                assert await echoed(page, (echo["host"], echo["port"])) == b"hello"
        assert services[0] == services[1]


async def test_a_hangup_has_all_workers_read_tokens_anew(tmp_path):
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[tokens.ada]\ntoken = "old"\n')
    async with running("--workers", "2", "--no-demo", "--tokens", str(tokens)) as workers:
        tokens.write_text('[tokens.ada]\ntoken = "new"\n')
        workers.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(30):
            for number in (0, 1):
                while True:
                    try:
                        async with Page(url_at(workers, number), "new"):
                            break
                    except RefusedError:
                        await asyncio.sleep(0.05)
                with pytest.raises(RefusedError):
                    async with Page(url_at(workers, number), "old"):
                        pass
