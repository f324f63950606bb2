"""TLS that the proxy ends, towards real servers: what was asked for holds, and nothing weaker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from pynet_browser.frames import Close, Frame, Secured, StartTls, Unsecured
from tests.peers import pattern
from tests.proxy.client import FailedError, ResetError
from tests.proxy.running import EVERY_LOOP, running_proxy, until
from tests.tls.certificates import Authority, make

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TLS_1_2, TLS_1_3, NONE_LOWER, NONE_HIGHER = 0x0303, 0x0304, 0xFFFE, 0xFFFF


@pytest.fixture
async def proxy():
    async with running_proxy(tls_proxy=True, webrtc=False, connect_timeout=5) as proxy:
        yield proxy


def request(authority: Authority, target: int, **changed: Any) -> StartTls:
    """What a page asks that trusts this authority alone."""
    usual = StartTls(
        0,
        target,
        timeout=4000,
        minimum=TLS_1_2,
        maximum=NONE_HIGHER,
        verify=2,
        match=1,
        common=1,
        roots=0,
        later=0,
        flags=0x80000,
        options=0x82120050,
        hostname="localhost",
        ciphers="",
        protocols=(),
        authorities=(authority.root.pem,),
        identity=(),
    )
    return replace(usual, **changed)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def served(identity: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.file)
    return context


@contextlib.asynccontextmanager
async def server(talk: Talk, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A port where somebody talks."""

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await talk(reader, writer)
        writer.close()

    running = await asyncio.start_server(polite, "127.0.0.1", 0, ssl=context)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()


@contextlib.asynccontextmanager
async def connected(proxy: Any, port: int) -> AsyncIterator[tuple[Any, Any]]:
    async with proxy.page() as page:
        socket = page.connect("127.0.0.1", port)
        await socket.connected()
        yield page, socket


async def test_it_is_off_unless_the_operator_says_otherwise(authority):
    async with (
        running_proxy(webrtc=False) as careful,
        server(echo, served(authority.good)) as port,
        connected(careful, port) as (page, socket),
    ):
        assert "tls" not in page.welcome.features
        with pytest.raises(FailedError, match="--tls-proxy") as caught:
            await page.request(request(authority, socket.id))
        assert caught.value.code == "EACCES"


async def test_what_passes_is_within_tls_and_the_page_is_told_with_whom(proxy, authority):
    context = served(authority.good)
    context.set_alpn_protocols(["http/1.1"])
    async with server(echo, context) as port, connected(proxy, port) as (page, socket):
        assert "tls" in page.welcome.features
        answer = await page.request(request(authority, socket.id, protocols=("h2", "http/1.1")))
        assert isinstance(answer, Secured)
        assert (answer.version, answer.protocol, answer.bits > 0) == ("TLSv1.3", "TLSv1.3", True)
        assert answer.alpn == "http/1.1"
        assert bytes(answer.data) == authority.good.der
        told = json.loads("".join(answer.details))
        assert ["DNS", "localhost"] in told["subjectAltName"]
        data = pattern(3_000_000)
        sending = asyncio.create_task(socket.send(data))
        assert await socket.read(len(data)) == data
        await sending
        socket.shutdown()
        assert await socket.read() == b""


async def test_a_server_that_speaks_first_is_heard_behind_the_answer(proxy, authority):
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello")

    async with server(greet, served(authority.good)) as port, connected(proxy, port) as (page, socket):
        early = []
        answering = asyncio.create_task(page.request(request(authority, socket.id)))
        answering.add_done_callback(lambda _: early.append(socket.waiting))
        assert isinstance(await answering, Secured)
        assert await socket.read() == b"220 hello"


async def test_what_the_page_sent_before_goes_out_in_plain_and_what_follows_does_not(proxy, authority):
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"220 go\n")
        await writer.start_tls(served(authority.good))
        writer.write(b"secret " + await reader.readline())
        await writer.drain()

    async with server(upgrade, None) as port, connected(proxy, port) as (page, socket):
        await socket.send(b"STARTTLS\n")
        assert await socket.recv() == b"220 go\n"
        asking = asyncio.create_task(page.request(request(authority, socket.id)))
        await asyncio.sleep(0)
        await socket.send(b"word\n")  # before the answer
        assert isinstance(await asking, Secured)
        assert await socket.read() == b"secret word\n"


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"authorities": ()}, 20, "unable to get local issuer certificate"),
        ({"hostname": "other.example"}, 62, "Hostname mismatch, certificate is not valid for 'other.e"),
        ({"hostname": "127.0.0.2"}, 64, "IP address mismatch, certificate is not valid for '127.0.0.2'."),
        ({"ciphers": "no such cipher"}, 0, "No cipher can be selected."),
        ({"minimum": TLS_1_3, "maximum": TLS_1_2}, 0, "no protocols available"),
    ],
)
async def test_whom_it_may_not_trust_it_does_not(proxy, authority, changed, code, words):
    context = served(authority.good)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with server(echo, context) as port, connected(proxy, port) as (page, socket):
        answer = await page.request(request(authority, socket.id, **changed))
        assert isinstance(answer, Unsecured)
        assert answer.verify == code
        assert words in answer.message
        assert "(_ssl" not in answer.message
        with pytest.raises(ResetError):
            await socket.recv()


@pytest.mark.parametrize("changed", [{"minimum": TLS_1_3}, {"ciphers": "AES128-SHA256", "maximum": TLS_1_2}])
async def test_what_a_host_cannot_do_is_not_done_without(proxy, authority, changed):
    context = served(authority.good)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with server(echo, context) as port, connected(proxy, port) as (page, socket):
        with pytest.raises(FailedError) as caught:  # the event loop's server says no word
            await page.request(request(authority, socket.id, **changed))
        assert caught.value.code == "ECONNRESET"


async def test_a_certificate_of_the_pages_own_is_shown(proxy, authority):
    mine = make(authority.folder, "client", issuer=authority.root, password=b"s3cret")
    key, _, chain = mine.file.read_text().partition("-----BEGIN CERTIFICATE-----")
    context = served(authority.good)
    context.load_verify_locations(authority.root.file)
    context.verify_mode = ssl.CERT_REQUIRED

    async def who(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(writer.get_extra_info("peercert")["subject"]).encode())

    async with server(who, context) as port:
        identity = ("-----BEGIN CERTIFICATE-----" + chain, key, "s3cret")
        async with connected(proxy, port) as (page, socket):
            assert isinstance(await page.request(request(authority, socket.id, identity=identity)), Secured)
            assert b"client" in await socket.read()
        async with connected(proxy, port) as (page, socket):
            wrong = request(authority, socket.id, identity=(*identity[:2], "wrong"))
            assert isinstance(await page.request(wrong), Unsecured)


async def test_a_host_that_says_nothing_is_waited_for_as_long_as_the_page_wants(proxy, authority):
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(silent, None) as port, connected(proxy, port) as (page, socket):
        with pytest.raises(FailedError) as caught:
            await page.request(request(authority, socket.id, timeout=200))
        assert caught.value.code == "ETIMEDOUT"
        with pytest.raises(ResetError):
            await socket.recv()


async def test_a_host_that_speaks_no_tls_is_an_error(proxy, authority):
    async def http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    async def leaves(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with server(http, None) as port, connected(proxy, port) as (page, socket):
        await until(lambda: socket.waiting)
        with pytest.raises(FailedError) as caught:
            await page.request(request(authority, socket.id))
        assert caught.value.code == "EINVAL"
    async with server(leaves, None) as port, connected(proxy, port) as (page, socket):
        with pytest.raises(FailedError) as caught:
            await page.request(request(authority, socket.id))
        assert caught.value.code == "ECONNRESET"


@pytest.mark.parametrize(
    "changed",
    [
        {"verify": 9},
        {"minimum": 5},
        {"maximum": NONE_LOWER, "minimum": NONE_HIGHER},
        {"authorities": ("no certificate",)},
        {"authorities": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",)},
        {"ciphers": "no such cipher"},
        {"ciphers": "DEFAULT\0"},
        {"protocols": ("x" * 300,)},
        {"protocols": ("é",)},
        {"hostname": "\0"},
        {"hostname": "." * 300},
        {"hostname": "x" * 60_000},
        {"hostname": ""},
        {"identity": ("a",)},
        {"identity": ("a", "b", "c", "d")},
        {"identity": ("no", "key", "")},
        {"flags": 0xFFFFFFFF},
        {"options": (1 << 53) - 1},
    ],
    ids=lambda changed: f"{next(iter(changed))} {str(next(iter(changed.values())))[:12]!r}",
)
async def test_nonsense_is_refused_and_the_proxy_goes_on(proxy, authority, changed):
    async with server(echo, served(authority.good)) as port, connected(proxy, port) as (page, socket):
        answer: Frame | FailedError
        try:
            answer = await page.request(request(authority, socket.id, **changed))
        except FailedError as error:
            answer = error
        assert not isinstance(answer, Secured)
        other = page.connect("127.0.0.1", port)
        await other.connected()
        assert isinstance(await page.request(request(authority, other.id)), Secured)


async def test_what_has_no_connection_or_tls_already_is_refused(proxy, authority):
    async def code(page: Any, target: int) -> str:
        with pytest.raises(FailedError) as caught:
            await page.request(request(authority, target))
        return caught.value.code

    async with server(echo, served(authority.good)) as port, connected(proxy, port) as (page, socket):
        assert await code(page, 99) == "EBADF"
        assert await code(page, page.datagrams().id) == "EOPNOTSUPP"
        assert isinstance(await page.request(request(authority, socket.id)), Secured)
        assert await code(page, socket.id) == "EINVAL"
        await socket.send(b"still there")
        assert await socket.read(11) == b"still there"


async def test_a_page_that_lets_go_meanwhile_leaves_nothing(proxy, authority):
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(silent, None) as port, connected(proxy, port) as (page, socket):
        asking = asyncio.create_task(page.request(request(authority, socket.id)))
        await asyncio.sleep(0.1)
        page.send(Close(socket.id))
        with pytest.raises(FailedError):
            await asking
        await until(lambda: proxy.sessions.sockets == 0)
