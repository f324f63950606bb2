from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
from typing import Any

import pytest
from websockets import ClientConnection

from pynet_browser.proxy.compat import wisp
from pynet_browser.proxy.compat.wisp_packets import (
    Close,
    Connect,
    Continue,
    Data,
    Extension,
    Info,
    Packet,
    Reason,
    StreamType,
    decode,
    encode,
)
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.policy import Rule
from tests.peers import DatagramEcho, Echo, Silent, Source, pattern
from tests.proxy.foreign import ENCODED_TOKEN, closing, connect, peak_memory, refusal
from tests.proxy.hosts import ResetsWhenTold, UdpHost, Witness
from tests.proxy.process import ROOT
from tests.proxy.running import EVERY_LOOP, TOKEN, RunningProxy, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

PATH = f"/wisp/{ENCODED_TOKEN}/"
CLIENT = ROOT / "js/node_modules/@mercuryworkshop/wisp-js/src/entrypoints/client.mjs"
ALL = Info(2, 0, ((Extension.UDP, b""), (Extension.OPEN_CONFIRMATION, b"")))


class Wisp:
    """A client that says what it is told to, packet by packet."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *packets: Packet) -> None:
        for packet in packets:
            await self.socket.send(encode(packet))

    async def next(self) -> Packet:
        """The next packet; its data copied."""
        message = await asyncio.wait_for(self.socket.recv(), 10)
        assert isinstance(message, bytes)
        packet = decode(message)
        return Data(packet.stream, bytes(packet.data)) if isinstance(packet, Data) else packet

    async def until_closed(self, stream: int) -> tuple[bytes, int]:
        """What a stream brings until its end, and the reason of that."""
        data = b""
        while not isinstance(packet := await self.next(), Close) or packet.stream != stream:
            if isinstance(packet, Data) and packet.stream == stream:
                data += packet.data
        return data, packet.reason

    async def read(self, stream: int, size: int) -> bytes:
        """So many bytes of a stream."""
        data = bytearray()
        while len(data) < size:
            packet = await self.next()
            assert not isinstance(packet, Close), packet
            if isinstance(packet, Data) and packet.stream == stream:
                data += packet.data
        return bytes(data)


@contextlib.asynccontextmanager
async def first_version(proxy: RunningProxy, **options: Any):
    """A client of version 1, told how much it may send."""
    async with connect(proxy, PATH, **options) as socket:
        client = Wisp(socket)
        assert await client.next() == Continue(0, 128)
        yield client


@contextlib.asynccontextmanager
async def second_version(proxy: RunningProxy, info: Info = ALL):
    """A client of version 2 that has agreed with the proxy."""
    async with connect(proxy, PATH, ["wisp-v2"]) as socket:
        client = Wisp(socket)
        assert socket.subprotocol == "wisp-v2"
        assert await client.next() == ALL
        await client.send(info)
        assert await client.next() == Continue(0, 128)
        yield client


def to(peer, stream: int = 1, type_: int = StreamType.TCP) -> Connect:
    return Connect(stream, type_, peer.address[1], peer.address[0])


@pytest.fixture
async def client(proxy):
    async with first_version(proxy) as client:
        yield client


# ── wisp-js ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def wisp_js(proxy):
    """wisp-js as a client of the proxy."""
    node = shutil.which("node")
    if node is None or not CLIENT.exists():
        pytest.skip("Node.js, or wisp-js (js/node_modules), is not installed")

    async def run(peer, *, version: int, type_: str = "tcp", sizes=(), read: int = 1) -> dict[str, Any]:
        asked = {
            "url": f"{proxy.base}{PATH}", "version": version, "type": type_,
            "host": peer.host, "port": peer.port, "sizes": sizes, "read": read,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            node, str(ROOT / "tests/js/wisp-peer.js"), str(CLIENT), json.dumps(asked),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            output, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
        answer: dict[str, Any] = json.loads(output)
        return answer

    return run


@pytest.mark.parametrize("version", [1, 2])
async def test_wisp_js_has_bytes_echoed_beyond_its_credit(wisp_js, echo_server, version):
    answer = await wisp_js(echo_server, version=version, sizes=[10_000] * 1000, read=10_000_000)
    assert (answer["version"], answer["received"], answer["reason"]) == (version, 10_000_000, None)


@pytest.mark.parametrize("version", [1, 2])
async def test_wisp_js_has_datagrams_echoed(wisp_js, version):
    with DatagramEcho() as peer:
        answer = await wisp_js(peer, version=version, type_="udp", sizes=[100, 200, 300], read=600)
        assert (answer["received"], answer["messages"]) == (600, 3)


async def test_wisp_js_is_told_why_there_is_no_stream(wisp_js, refusing_port):
    assert (await wisp_js(refusing_port, version=2))["reason"] == Reason.REFUSED


# ── Agreeing ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_token_may_be_in_the_path_with_or_without_a_final_slash(proxy):
    for path in (
        PATH,
        PATH.removesuffix("/"),
        f"/wisp/?token={ENCODED_TOKEN}",
        f"/wisp?token={ENCODED_TOKEN}",
    ):
        async with connect(proxy, path) as socket:
            assert await Wisp(socket).next() == Continue(0, 128)
    assert (await refusal(proxy, "/wisp/wrong/"))[0] == 403
    assert (await refusal(proxy, "/wisp/wrong/", ["wisp-v2"]))[0] == 403


@pytest.mark.parametrize("user", ["", "anybody"])
@pytest.mark.parametrize("older", [False, True])
async def test_the_token_may_be_the_password(proxy, echo_server, user, older):
    async with connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
        client = Wisp(socket)
        info = await client.next()
        assert info == Info(2, 0, ((1, b""), (2, b"\x01"), (5, b"")))
        length = len(TOKEN).to_bytes(2, "little") if older else b""
        credentials = bytes([len(user)]) + length + user.encode() + TOKEN.encode()
        await client.send(Info(2, 0, ((1, b""), (2, credentials))))
        assert await client.next() == Continue(0, 128)
        await client.send(to(echo_server), Data(1, b"hello"))
        assert await client.read(1, 5) == b"hello"


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        (((2, b"\x03bobwrong"),), Reason.WRONG_PASSWORD),
        (((2, b"\x00"),), Reason.WRONG_PASSWORD),
        (((2, b""),), Reason.CREDENTIALS_MISSING),
        (((1, b""),), Reason.CREDENTIALS_MISSING),
        (((2, b"\x09bob"),), Reason.INVALID),
    ],
)
async def test_without_the_right_password_nobody_is_let_in(proxy, extensions, reason):
    async with connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
        client = Wisp(socket)
        await client.next()
        await client.send(Info(2, 0, extensions))
        assert await client.next() == Close(0, reason)
        assert (await closing(socket))[1] in {1002, 1008}


async def test_without_the_token_version_1_is_refused(proxy):
    assert (await refusal(proxy, "/wisp/"))[0] == 403


async def test_who_says_nothing_is_sent_away():
    async with running_proxy(auth_timeout=0.1) as proxy, connect(proxy, "/wisp/", ["wisp-v2"]) as socket:
        _, code, reason = await closing(socket)
        assert (code, reason) == (1008, "the client does not say what it can")


async def test_only_so_many_may_be_without_a_password():
    async with (
        running_proxy(Limits(unauthenticated=1)) as proxy,
        connect(proxy, "/wisp/", ["wisp-v2"]),
        connect(proxy, "/wisp/", ["wisp-v2"]) as second,
    ):
        assert (await closing(second))[1] == 1013


@pytest.mark.parametrize("message", [b"", b"\x05\0\0\0\0", b"\x01\1\0\0\0\1\x50\0h", "text"])
async def test_who_does_not_say_what_it_can_is_sent_away(proxy, message):
    async with connect(proxy, PATH, ["wisp-v2"]) as socket:
        client = Wisp(socket)
        await client.next()
        await socket.send(message)
        assert await client.next() == Close(0, Reason.INVALID)
        assert (await closing(socket))[1] == 1002


async def test_a_token_as_the_only_subprotocol_leaves_it_at_version_1(proxy):
    async with connect(proxy, "/wisp/", [f"token.{ENCODED_TOKEN}"]) as socket:
        assert await Wisp(socket).next() == Continue(0, 128)


async def test_connections_are_confirmed_to_those_who_ask(proxy, echo_server, refusing_port):
    async with second_version(proxy) as client:
        await client.send(to(echo_server, 7))
        assert await client.next() == Continue(7, 128)
        await client.send(to(refusing_port, 8))
        assert await client.next() == Close(8, Reason.REFUSED)
    async with second_version(proxy, Info(2, 0)) as client:
        await client.send(to(echo_server, 7), Data(7, b"hello"))
        assert await client.next() == Data(7, b"hello")


async def test_datagrams_are_only_for_those_who_say_so(proxy):
    with DatagramEcho() as peer:
        async with second_version(proxy, Info(2, 0)) as client:
            await client.send(to(peer, 1, StreamType.UDP))
            assert await client.next() == Close(1, Reason.INVALID)
        async with second_version(proxy) as client:
            await client.send(to(peer, 1, StreamType.UDP), Data(1, b"hello"))
            assert await client.next() == Data(1, b"hello")


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_many_streams_have_bytes_of_their_own(echo_server):
    async with running_proxy() as proxy, first_version(proxy) as client:
        count, size = 50, 200_000
        for stream in range(1, count + 1):
            await client.send(to(echo_server, stream))

        async def send() -> None:
            for at in range(0, size, 20_000):
                for stream in range(1, count + 1):
                    await client.send(Data(stream, pattern(20_000, stream * size + at)))

        sending = asyncio.create_task(send())
        came = {stream: bytearray() for stream in range(1, count + 1)}
        while any(len(each) < size for each in came.values()):
            packet = await client.next()
            if isinstance(packet, Data):
                came[packet.stream] += packet.data
        await sending
        for stream, data in came.items():
            assert data == pattern(size, stream * size)


async def test_a_host_that_ends_is_told_behind_what_it_sent(client):
    with Source(1_000_000) as peer:
        await client.send(to(peer))
        assert await client.until_closed(1) == (pattern(1_000_000), Reason.VOLUNTARY)


async def test_a_host_that_resets_is_told_as_an_error(client):
    with ResetsWhenTold(b"half") as peer:
        await client.send(to(peer))
        assert await client.read(1, 4) == b"half"
        await asyncio.to_thread(peer.reset)
        assert await client.until_closed(1) == (b"", Reason.NETWORK_ERROR)


async def test_what_was_sent_before_a_close_arrives(client):
    with Witness() as peer:
        await client.send(to(peer), *(Data(1, pattern(50_000, at)) for at in range(0, 5_000_000, 50_000)))
        await client.send(Close(1, 2))
        await until(peer.over.is_set)
        assert (bytes(peer.received), peer.ending) == (pattern(5_000_000), "FIN")


@every_loop
@pytest.mark.parametrize("size", [0, 5, 2_000_000])
async def test_a_close_that_overtakes_the_connection_is_heeded_when_that_stands(proxy, client, size):
    with Witness() as peer:
        pieces = [Data(1, pattern(50_000, at)[: size - at]) for at in range(0, size, 50_000)]
        await client.send(to(peer), *pieces, Close(1, 2))
        await until(peer.over.is_set)
        assert (bytes(peer.received), peer.ending) == (pattern(size), "FIN")
    await until(lambda: proxy.sessions.sockets == 0)  # and the client is still there
    assert proxy.sessions.buffered == 0


@every_loop
async def test_a_close_that_overtakes_a_connection_which_fails_leaves_nothing(proxy, client, refusing_port):
    await client.send(to(refusing_port), Data(1, bytes(100_000)), Close(1, 2))
    await client.send(Connect(2, 1, refusing_port.port, refusing_port.host))
    await client.until_closed(2)
    await until(lambda: (proxy.sessions.sockets, proxy.sessions.buffered) == (0, 0))


async def test_what_was_sent_before_the_client_left_arrives(proxy):
    with Witness() as peer:
        async with first_version(proxy) as client:
            await client.send(to(peer), *(Data(1, pattern(50_000, at)) for at in range(0, 5_000_000, 50_000)))
        await until(peer.over.is_set)
        assert (bytes(peer.received), peer.ending) == (pattern(5_000_000), "FIN")


async def test_a_number_may_be_used_again_when_its_stream_is_closed(client, echo_server):
    for number in range(20):
        await client.send(to(echo_server), Data(1, bytes([number])))
        assert await client.read(1, 1) == bytes([number])
        await client.send(Close(1, 2))


async def test_names_are_resolved_and_blanks_around_them_do_not_matter(client, echo_server):
    await client.send(Connect(1, 1, echo_server.port, " localhost "), Data(1, b"hello"))
    assert await client.read(1, 5) == b"hello"


async def test_each_failure_has_its_reason(client, refusing_port, echo_server):
    for connect_packet, reason in [
        (to(refusing_port), Reason.REFUSED),
        (Connect(1, 1, 80, "no..name"), Reason.UNREACHABLE),
        (Connect(1, 1, 80, ""), Reason.UNREACHABLE),
        (Connect(1, 2, 80, "no..name"), Reason.UNREACHABLE),
        (Connect(1, 1, 0, "127.0.0.1"), Reason.INVALID),
        (Connect(1, 3, echo_server.port, echo_server.host), Reason.INVALID),
    ]:
        await client.send(connect_packet)
        assert await client.until_closed(1) == (b"", reason)


async def test_a_connection_that_takes_too_long_has_its_reason(unanswering_port):
    async with running_proxy(connect_timeout=0.2) as proxy, first_version(proxy) as client:
        await client.send(to(unanswering_port))
        assert await client.next() == Close(1, Reason.TIMED_OUT)


async def test_what_the_policy_refuses_has_its_reason(echo_server):
    deny = (Rule.parse("127.0.0.0/8:*"), Rule.parse("[::1]:*"))
    async with running_proxy(deny=deny) as proxy, first_version(proxy) as client:
        for type_ in (StreamType.TCP, StreamType.UDP):
            for host in ("127.0.0.1", "localhost", "127.1", "0x7f.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"):
                await client.send(Connect(1, type_, echo_server.port, host))
                assert await client.until_closed(1) == (b"", Reason.BLOCKED)
    assert echo_server.accepted == 0


async def test_too_many_streams_are_refused_alone(echo_server):
    async with running_proxy(Limits(sockets_per_session=2)) as proxy, first_version(proxy) as client:
        with UdpHost() as host:
            await client.send(to(echo_server, 1), to(host, 2, StreamType.UDP), to(echo_server, 3))
            assert await client.next() == Close(3, Reason.THROTTLED)
            await client.send(Data(1, b"hello"))
            assert await client.read(1, 5) == b"hello"


async def test_datagrams_keep_their_borders_and_are_heard_from_their_peer_alone(client):
    with UdpHost() as host, UdpHost() as stranger:
        await client.send(to(host, 1, StreamType.UDP), Data(1, b"one"), Data(1, b""), Data(1, b"three"))
        heard = [await host.recv() for _ in range(3)]
        assert [data for data, _ in heard] == [b"one", b"", b"three"]
        stranger.send(b"from elsewhere", *heard[0][1])
        host.send(b"", *heard[0][1])
        host.send(b"answer", *heard[0][1])
        assert await client.next() == Data(1, b"")
        assert await client.next() == Data(1, b"answer")


# ── Bounds ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_that_follows_its_credit_never_has_to_stop(client, echo_server):
    await client.send(to(echo_server))
    credit, sent, came = 128, 0, 0
    while came < 2000:
        while credit and sent < 2000:
            await client.send(Data(1, b"x"))
            credit, sent = credit - 1, sent + 1
        match await client.next():
            case Continue(1, more):
                assert 0 < more <= 128
                credit = more
            case Data(1, data):
                came += len(data)


@every_loop
async def test_a_stream_whose_host_does_not_read_gets_no_credit_and_others_go_on(echo_server):
    async with running_proxy() as proxy, first_version(proxy) as client:
        with Silent(receive_buffer=4096) as peer:
            await client.send(to(peer), *(Data(1, bytes(65_536)) for _ in range(128)))
            await client.send(to(echo_server, 2), Data(2, b"hello"))
            assert await client.read(2, 5) == b"hello"
            assert proxy.sessions.buffered < 129 * 65_536
            await client.send(*(Data(1, b"x") for _ in range(2000)))  # more than it can have been told to
            assert await client.until_closed(1) == (b"", Reason.THROTTLED)
            await client.send(Data(2, b"hello"))
            assert await client.read(2, 5) == b"hello"
            await until(lambda: proxy.sessions.buffered < 1000)


@every_loop
async def test_a_client_that_sends_as_soon_as_it_may_keeps_a_stream_whose_host_stops_reading():
    """Each leave to go on replaces the one before, so that much more than one may be on its way."""
    async with running_proxy() as proxy, first_version(proxy) as client:
        with Silent(receive_buffer=1 << 20) as peer:
            await client.send(to(peer))
            credit, sent = 128, 0
            with contextlib.suppress(TimeoutError):
                while True:
                    await client.send(*(Data(1, bytes(32_768)) for _ in range(credit)))
                    sent += credit
                    packet = await asyncio.wait_for(client.next(), 0.5 if sent > 128 else 10)
                    assert isinstance(packet, Continue), packet
                    credit = packet.credit
            assert sent > 128
            await client.send(to(peer, 2))
            await until(lambda: proxy.sessions.sockets == 2)


async def test_a_client_that_sends_large_packets_is_held_back_and_loses_the_stream_that_stalls(
    echo_server, monkeypatch
):
    monkeypatch.setattr(wisp, "STALLED", 0.3)
    limits = Limits(buffered_per_session=4 << 20)
    async with running_proxy(limits) as proxy, first_version(proxy) as client:
        with Silent(receive_buffer=4096) as peer:
            await client.send(to(peer))
            large = [Data(1, bytes(1 << 20))] * 100
            sending = asyncio.create_task(client.send(*large))
            most = 0
            while not sending.done():
                most = max(most, proxy.sessions.buffered)
                await asyncio.sleep(0.01)
            await sending
            assert (2 << 20) < most <= (4 << 20)
            assert await client.until_closed(1) == (b"", Reason.THROTTLED)
            await client.send(to(echo_server, 2), Data(2, b"hello"))
            assert await client.read(2, 5) == b"hello"


@every_loop
async def test_a_client_that_does_not_read_holds_its_hosts_back():
    async with running_proxy() as proxy:
        with Source(200_000_000) as peer:
            async with first_version(proxy, max_queue=1) as client:
                await client.send(*(to(peer, stream) for stream in range(1, 40)))
                await until(lambda: proxy.sessions.buffered > 400_000)
                for _ in range(30):
                    await asyncio.sleep(0.01)
                    assert proxy.sessions.buffered < 1_500_000
                client.socket.transport.abort()


async def test_connects_are_made_at_the_rate_that_is_allowed(echo_server):
    limits = Limits(connects_per_second=20, connect_burst=2)
    async with running_proxy(limits) as proxy, second_version(proxy) as client:
        start = asyncio.get_running_loop().time()
        await client.send(*(to(echo_server, stream) for stream in range(1, 8)))
        for _ in range(7):
            assert isinstance(await client.next(), Continue)
        assert asyncio.get_running_loop().time() - start > 0.2


# ── What breaks the rules ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("messages", "stream"),
    [
        ([b"\x01\1\0\0\0\1\x50"], 1),
        ([b"\x01\1\0\0\0\1\x50\0\xff\xff"], 1),
        ([b"\x04\1\0\0\0"], 1),
        ([b"\x03\1\0\0\0\0"], 1),
        ([encode(Connect(1, 1, 9, "127.0.0.1"))] * 2, 1),
    ],
)
async def test_a_malformed_packet_ends_its_stream(client, echo_server, messages, stream):
    for message in messages:
        await client.socket.send(message)
    assert (await client.until_closed(stream))[1] in {Reason.INVALID, Reason.REFUSED}
    await client.send(to(echo_server, 9), Data(9, b"hello"))
    assert await client.read(9, 5) == b"hello"


@pytest.mark.parametrize(
    "message", [b"", b"\x02\1\0\0", encode(Connect(0, 1, 9, "127.0.0.1")), encode(Close(0, 1))]
)
async def test_what_is_no_packet_or_is_about_stream_0_ends_the_connection(client, message):
    await client.socket.send(message)
    assert (await closing(client.socket))[1] == 1002


async def test_what_means_nothing_is_ignored(client, echo_server):
    await client.socket.send("text")
    await client.socket.send(b"\xf0\1\0\0\0abc")
    await client.send(Continue(1, 1 << 31), Continue(0, 0), Data(77, b"to nobody"), Close(77, 2), Info(2, 0))
    await client.send(to(echo_server), Data(1, b"hello"))
    assert await client.read(1, 5) == b"hello"


async def test_a_message_beyond_the_limit_ends_the_connection():
    async with running_proxy(Limits(message_bytes=10_000)) as proxy, first_version(proxy) as client:
        await client.send(Data(1, bytes(10_000)))
        await client.send(Data(1, bytes(10_001)))
        assert (await closing(client.socket))[1] == 1009


async def test_nonsense_harms_nobody_else_and_leaves_nothing(caplog):
    choose = random.Random(20)
    with Echo() as echo:
        allow, deny = (Rule.parse(f"127.0.0.1:{echo.port}"),), (Rule.parse("*:*"),)
        async with running_proxy(allow=allow, deny=deny) as proxy, first_version(proxy) as bystander:
            await bystander.send(to(echo))
            valid = [encode(each) for each in (to(echo), Data(1, b"data"), Close(1, 2), Continue(1, 5), ALL)]
            for _ in range(40):
                async with connect(proxy, PATH, ["x"] if choose.random() < 0.3 else []) as socket:
                    with contextlib.suppress(Exception):
                        for _ in range(30):
                            message = bytearray(choose.choice(valid))
                            for _ in range(choose.randrange(3)):
                                message[choose.randrange(len(message))] = choose.randrange(256)
                            await socket.send(bytes(message[: choose.randrange(len(message) + 1)]))
                await bystander.send(Data(1, b"hello"))
                assert await bystander.read(1, 5) == b"hello"
            await until(lambda: len(proxy.sessions) == 1)
            assert proxy.sessions.sockets == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_memory_stays_flat_while_clients_break_off(echo_server):
    async with running_proxy() as proxy:
        before = peak_memory()
        for _ in range(30):
            async with first_version(proxy) as client:
                await client.send(*(to(echo_server, stream) for stream in range(1, 20)))
                for stream in range(1, 20):
                    await client.send(Data(stream, bytes(100_000)))
                client.socket.transport.abort()
        await until(lambda: len(proxy.sessions) == 0)
        assert peak_memory() - before < 64 << 20
