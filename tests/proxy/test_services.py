from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from pynet_browser.proxy.services import running_services


@pytest.fixture
async def services():
    async with running_services() as addresses:
        yield addresses


async def test_the_services_listen_on_loopback_only(services):
    assert {host for host, _ in services.values()} == {"127.0.0.1"}
    assert len({port for _, port in services.values()}) == len(services)


async def test_echo_sends_everything_back_after_a_half_close_too(services):
    reader, writer = await asyncio.open_connection(*services["echo"])
    sent = bytes(range(256)) * 4096
    writer.write(sent)
    writer.write_eof()
    assert await reader.read(-1) == sent
    writer.close()


async def test_echo_survives_a_client_that_resets(services):
    _, writer = await asyncio.open_connection(*services["echo"])
    writer.write(b"x" * 1_000_000)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
    reader, writer = await asyncio.open_connection(*services["echo"])
    writer.write(b"again")
    assert await reader.readexactly(5) == b"again"
    writer.close()


async def test_the_udp_echo_answers_whoever_asked_even_if_nothing_was_said(services):
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        for client in (one, other):
            client.setblocking(False)
            client.connect(services["udp_echo"])
        for data in (b"first", b"", bytes(60_000)):
            await loop.sock_sendall(one, data)
            await loop.sock_sendall(other, data[::-1])
            assert await loop.sock_recv(one, 65535) == data
            assert await loop.sock_recv(other, 65535) == data[::-1]


async def test_the_clock_ticks_each_second_until_its_client_closes(services):
    began = datetime.now(UTC)
    reader, writer = await asyncio.open_connection(*services["clock"])
    first = datetime.fromisoformat((await reader.readline()).decode().rstrip())
    second = datetime.fromisoformat((await reader.readline()).decode().rstrip())
    assert began - timedelta(milliseconds=1) < first < second < datetime.now(UTC)
    assert 0.8 < (second - first).total_seconds() < 5
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(-1), 10) == b""
    writer.close()


async def test_the_site_has_an_index_a_json_page_and_downloads(services):
    host, port = services["http"]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        response = await session.get("/")
        assert response.content_type == "text/html"
        assert "/bytes/" in await response.text()
        seen = await (await session.get("/json?a=1", headers={"X-Test": "yes"})).json()
        assert (seen["path"], seen["query"], seen["headers"]["X-Test"]) == ("/json", {"a": "1"}, "yes")


@pytest.mark.parametrize("count", [0, 1, 65535, 65536, 65537, 1_000_000])
async def test_a_download_has_the_length_and_pattern_it_promises(services, count):
    host, port = services["http"]
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"http://{host}:{port}/bytes/{count}")
        assert response.content_length == count
        assert await response.read() == bytes(n % 251 for n in range(count))


async def test_a_download_has_a_limit(services):
    host, port = services["http"]
    async with aiohttp.ClientSession() as session:
        assert (await session.get(f"http://{host}:{port}/bytes/1073741825")).status == 400
        assert (await session.get(f"http://{host}:{port}/bytes/-1")).status == 404


async def test_stopping_cuts_connections_at_once():
    async with running_services() as addresses:
        reader, writer = await asyncio.open_connection(*addresses["clock"])
        await reader.readline()
        idle_reader, idle_writer = await asyncio.open_connection(*addresses["echo"])
        idle_writer.write(b"x")
        await idle_reader.readexactly(1)
    assert await asyncio.wait_for(reader.read(-1), 10) == b""
    assert await asyncio.wait_for(idle_reader.read(-1), 10) == b""
    writer.close()
    idle_writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*addresses["echo"])
