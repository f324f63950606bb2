"""asyncio's own TLS over our layer."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from tests.tls.certificates import Authority, make
from tests.tls.conftest import HOST, Serve, trusting


@pytest.fixture(autouse=True)
def _ours(layer: Patches) -> None:
    """All here is about our layer."""


async def test_a_client(authority: Authority, serve: Serve):
    data = bytes(range(256)) * 4000
    reader, writer = await asyncio.open_connection(
        *serve(authority.good), ssl=trusting(authority), server_hostname=HOST
    )
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert writer.get_extra_info("peercert")["subjectAltName"]
    writer.close()
    await writer.wait_closed()


async def test_a_server_and_its_clients(authority: Authority):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.good.file)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    address = server.sockets[0].getsockname()

    async def talk(number: int) -> bytes:
        reader, writer = await asyncio.open_connection(
            *address, ssl=trusting(authority), server_hostname=HOST
        )
        writer.write(b"%d" % number * 1000)
        answer = await reader.readexactly(1000 * len(str(number)))
        writer.close()
        await writer.wait_closed()
        return answer

    async with server:
        answers = await asyncio.gather(*(talk(number) for number in range(8)))
    assert answers == [b"%d" % number * 1000 for number in range(8)]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="streams begin TLS since Python 3.11")
async def test_tls_begins_within_a_connection(authority: Authority, serve: Serve):
    reader, writer = await asyncio.open_connection(*serve(authority.good, starttls=True))
    assert await reader.readline() == b"220 ready\r\n"
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"220 go\r\n"
    await writer.start_tls(trusting(authority), server_hostname=HOST)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()


async def test_a_bad_certificate_is_refused(authority: Authority, serve: Serve):
    bad = serve(make(authority.folder, "bad", "other.invalid", issuer=authority.root))
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        await asyncio.open_connection(*bad, ssl=trusting(authority), server_hostname=HOST)
    assert caught.value.verify_code == 62


async def test_a_silent_server_has_the_time_for_handshakes(authority: Authority):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address: Any = server.sockets[0].getsockname()
    async with server:
        with pytest.raises(ConnectionAbortedError, match="handshake"):
            await asyncio.open_connection(
                *address, ssl=trusting(authority), server_hostname=HOST, ssl_handshake_timeout=0.1
            )
