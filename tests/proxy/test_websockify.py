from __future__ import annotations

import asyncio
import contextlib
import socket as host_socket
import sys

import pytest
import websockets
from websockets import ConnectionClosed

from pynet_browser.proxy.compat import client
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.policy import Rule
from tests.peers import DatagramEcho, Silent, Source, pattern
from tests.proxy.foreign import ENCODED_TOKEN, closing, connect, handshake, received, refusal
from tests.proxy.hosts import EndsFirst, ResetsWhenTold, Sink, UdpHost, Witness
from tests.proxy.running import EVERY_LOOP, Stopwatch, running_proxy, until
from tests.servers import ServerProcess

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)
PORT_MESSAGE = b"\xff\xff\xff\xffport\x13\x88"


def path(peer, *, udp: bool = False) -> str:
    return f"/websockify/{'udp/' if udp else ''}{peer.address[0]}/{peer.address[1]}?token={ENCODED_TOKEN}"


# ── As websockify does ────────────────────────────────────────────────────────────────────────────────────


class Websockify(ServerProcess):
    """The original, with targets in a file."""

    def prepare(self) -> None:
        self.targets = self.directory / "targets"
        self.targets.write_text("")

    def command(self) -> list[str]:
        options = ["--token-plugin=TokenFile", f"--token-source={self.targets}"]
        return [sys.executable, "-m", "websockify", *options, f"{self.host}:{self.port}"]

    def answers(self) -> bool:
        with contextlib.suppress(OSError), host_socket.create_connection((self.host, self.port), 1):
            return True
        return False


@pytest.fixture(scope="module")
def original():
    with Websockify() as server:
        yield server


@pytest.fixture(params=["ours", "theirs"])
async def reach(request, original, tmp_path):
    """Connects to a peer through our proxy or through the original."""

    @contextlib.asynccontextmanager
    async def through_theirs(peer, protocols=()):
        original.targets.write_text(f"peer: {peer.address[0]}:{peer.address[1]}\n")
        url = f"ws://{original.host}:{original.port}/websockify?token=peer"
        offered = [websockets.Subprotocol(each) for each in protocols] or None
        async with websockets.connect(url, subprotocols=offered, compression=None) as socket:
            yield socket

    if request.param == "theirs":
        yield through_theirs
        return
    async with running_proxy() as proxy:
        yield lambda peer, protocols=(): connect(proxy, path(peer), protocols)


@pytest.mark.parametrize(
    ("offered", "chosen"), [([], None), (["binary"], "binary"), (["binary", "base64"], "binary")]
)
async def test_bytes_go_both_ways_under_binary_and_without_a_subprotocol(reach, echo_server, offered, chosen):
    async with reach(echo_server, offered) as socket:
        assert socket.subprotocol == chosen
        await socket.send(b"hello")
        assert await received(socket, 5) == b"hello"


async def test_empty_messages_mean_nothing(reach, echo_server):
    async with reach(echo_server) as socket:
        for message in (b"", b"a", b"", b"b"):
            await socket.send(message)
        assert await received(socket, 2) == b"ab"


async def test_a_host_that_ends_is_told_with_1000_behind_what_it_sent(reach):
    with Source(300_000) as peer:
        async with reach(peer) as socket:
            assert await closing(socket) == (pattern(300_000), 1000, "Target closed")


async def test_a_host_that_refuses_is_told_with_1011(reach, refusing_port):
    async with reach(refusing_port) as socket:
        data, code, _ = await closing(socket)
        assert (data, code) == (b"", 1011)


async def test_text_is_told_with_1003(reach, echo_server):
    async with reach(echo_server) as socket:
        await socket.send("text")
        data, code, reason = await closing(socket)
        assert (data, code) == (b"", 1003)
        assert "not supported" in reason


async def test_base64_alone_is_refused(reach, echo_server):
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with reach(echo_server, ["base64"]):
            pass
    assert caught.value.response.status_code == 400


async def test_a_client_that_closes_has_sent_what_it_sent(reach):
    with Witness() as peer:
        async with reach(peer) as socket:
            for at in range(0, 3_000_000, 100_000):
                await socket.send(pattern(100_000, at))
        await until(peer.over.is_set)
        assert (bytes(peer.received), peer.ending) == (pattern(3_000_000), "FIN")


# ── Better than websockify ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("header", ["base64, binary", "pynet.v1,  binary", "binary , x", "x,binary"])
async def test_binary_is_found_wherever_it_stands(proxy, echo_server, header):
    assert await handshake(proxy, path(echo_server), Sec_WebSocket_Protocol=header) == (101, ["binary"])


async def test_other_offers_are_met_since_browsers_would_fail(proxy, echo_server):
    async with connect(proxy, path(echo_server), ["text"]) as socket:
        assert socket.subprotocol == "text"


async def test_refusal_of_the_policy_is_told_with_1008(echo_server):
    async with running_proxy(deny=(Rule.parse("127.0.0.0/8:*"),)) as proxy:
        for where in (path(echo_server), path(echo_server, udp=True)):
            async with connect(proxy, where) as socket:
                _, code, reason = await closing(socket)
                assert code == 1008
                assert reason.startswith("EACCES: the proxy's policy refuses 127.0.0.1:")
    assert echo_server.accepted == 0


async def test_names_are_resolved_and_the_answer_is_checked(echo_server):
    async with (
        running_proxy(deny=(Rule.parse("127.0.0.0/8:*"), Rule.parse("[::1]:*"))) as proxy,
        connect(proxy, f"/websockify/localhost/{echo_server.port}?token={ENCODED_TOKEN}") as socket,
    ):
        assert (await closing(socket))[1] == 1008
    async with running_proxy() as proxy:
        async with connect(
            proxy, f"/websockify/localhost/{echo_server.port}?token={ENCODED_TOKEN}"
        ) as socket:
            await socket.send(b"hello")
            assert await received(socket, 5) == b"hello"
        async with connect(proxy, f"/websockify/no..name/1?token={ENCODED_TOKEN}") as socket:
            _, code, reason = await closing(socket)
            assert code == 1011
            assert reason.startswith("EAI_NONAME: ")


@pytest.mark.parametrize("where", ["127.0.0.1/0", "127.0.0.1/65536", "127.0.0.1/http", "udp/h/0"])
async def test_what_is_no_port_is_refused(proxy, where):
    status, text = await refusal(proxy, f"/websockify/{where}?token={ENCODED_TOKEN}")
    assert status == 400
    assert "is no target" in text


async def test_ipv6_hosts_stand_in_brackets_or_without(proxy):
    with Source(1000, "::1") as peer:
        for host in ("::1", "[::1]", "%5B%3A%3A1%5D"):
            async with connect(proxy, f"/websockify/{host}/{peer.port}?token={ENCODED_TOKEN}") as socket:
                assert await closing(socket) == (pattern(1000), 1000, "Target closed")


async def test_a_connection_that_was_reset_does_not_look_whole(proxy):
    with ResetsWhenTold(b"half of it") as peer:
        async with connect(proxy, path(peer)) as socket:
            assert await received(socket, 10) == b"half of it"
            await asyncio.to_thread(peer.reset)
            assert (await closing(socket))[1] == 1011


async def test_what_is_sent_to_a_host_that_has_ended_arrives_until_the_close(proxy):
    with EndsFirst(b"bye") as peer:
        async with connect(proxy, path(peer)) as socket:
            await socket.send(b"what was under way")
            assert await closing(socket) == (b"bye", 1000, "Target closed")
        await until(peer.over.is_set)
        assert peer.received == b"what was under way"


async def test_too_many_sockets_are_told_with_1013(echo_server):
    async with running_proxy(Limits(sockets=1)) as proxy, connect(proxy, path(echo_server)) as first:
        await first.send(b"a")
        await received(first, 1)
        async with connect(proxy, path(echo_server)) as second:
            assert await closing(second) == (
                b"", 1013, "1 sockets are open, the most that the proxy allows (limits.sockets)",
            )  # fmt: skip


# ── Targets by name ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def targets(tmp_path, echo_server):
    file = tmp_path / "targets"
    file.write_text(f"echo: {echo_server.host}:{echo_server.port}\n")
    return file


async def test_a_target_has_a_name_and_the_token_comes_otherwise(targets, echo_server):
    async with running_proxy(websockify_targets=targets) as proxy:
        for where, protocols in [
            ("/websockify?token=echo", [f"token.{ENCODED_TOKEN}", "binary"]),
            ("/websockify/?token=echo", [f"token.{ENCODED_TOKEN}"]),
            (f"/websockify/{ENCODED_TOKEN}?token=echo", []),
        ]:
            async with connect(proxy, where, protocols) as socket:
                await socket.send(b"hello")
                assert await received(socket, 5) == b"hello"
        assert (await refusal(proxy, "/websockify?token=echo"))[0] == 403
        assert (await refusal(proxy, f"/websockify?token={ENCODED_TOKEN}"))[0] == 403
        status, text = await refusal(proxy, f"/websockify/{ENCODED_TOKEN}?token=other")
        assert status == 404
        assert "--websockify-targets" in text


async def test_the_file_is_read_each_time_and_may_be_wrong(targets, echo_server, caplog):
    async with running_proxy(websockify_targets=targets) as proxy:
        where = f"/websockify/{ENCODED_TOKEN}?token=more"
        assert (await refusal(proxy, where))[0] == 404
        targets.write_text(f"more: udp:{echo_server.host}:{echo_server.port}\n")
        async with connect(proxy, where):
            pass
        targets.write_text("nonsense")
        assert (await refusal(proxy, where))[0] == 404
        assert "line 1 is not `name: host:port`" in caplog.text
        targets.unlink()
        assert (await refusal(proxy, where))[0] == 404


# ── Emscripten's emulated sockets ─────────────────────────────────────────────────────────────────────────


async def test_the_port_of_a_bound_datagram_socket_is_not_passed_on(proxy, echo_server):
    async with connect(proxy, path(echo_server), ["binary"]) as socket:
        for message in (PORT_MESSAGE, b"hello", PORT_MESSAGE, PORT_MESSAGE + b"!"):
            await socket.send(message)
        assert await received(socket, 26) == b"hello" + PORT_MESSAGE + PORT_MESSAGE + b"!"
    async with connect(proxy, path(echo_server), ["binary"]) as socket:
        await socket.send(PORT_MESSAGE + b"!")
        assert await received(socket, 11) == PORT_MESSAGE + b"!"


@every_loop
async def test_each_message_is_a_datagram_under_udp():
    async with running_proxy() as proxy:
        with DatagramEcho() as peer:
            async with connect(proxy, path(peer, udp=True), ["binary"]) as socket:
                for message in (PORT_MESSAGE, b"one", b"", b"three", bytes(1400)):
                    await socket.send(message)
                for message in (b"one", b"", b"three", bytes(1400)):
                    assert await asyncio.wait_for(socket.recv(), 5) == message


async def test_datagrams_of_others_are_not_heard(proxy):
    with UdpHost() as host, UdpHost() as stranger:
        async with connect(proxy, path(host, udp=True)) as socket:
            await socket.send(b"hello")
            data, source = await host.recv()
            assert data == b"hello"
            stranger.send(b"from elsewhere", *source)
            host.send(b"answer", *source)
            assert await socket.recv() == b"answer"


async def test_datagrams_that_are_refused_end_the_stream(proxy, refusing_port):
    async with connect(proxy, path(refusing_port, udp=True)) as socket:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(b"anybody?")
                await asyncio.sleep(0.01)
        assert (socket.close_code, (socket.close_reason or "")[:12]) == (1011, "ECONNREFUSED")


# ── Bounds ────────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_bulk_arrives_whole_both_ways(echo_server):
    async with running_proxy() as proxy, connect(proxy, path(echo_server)) as socket:
        data = pattern(8_000_000)

        async def send() -> None:
            for at in range(0, len(data), 90_001):
                await socket.send(data[at : at + 90_001])

        sending = asyncio.create_task(send())
        assert await received(socket, len(data)) == data
        await sending


@every_loop
async def test_a_host_that_does_not_read_holds_its_client_back():
    async with running_proxy() as proxy:
        with Silent(receive_buffer=4096) as peer:
            async with connect(proxy, path(peer)) as socket:

                async def send() -> None:
                    while True:
                        await socket.send(bytes(100_000))

                sending = asyncio.create_task(send())
                await until(lambda: proxy.sessions.buffered > 200_000)
                for _ in range(50):
                    await asyncio.sleep(0.01)
                    assert proxy.sessions.buffered < 1_200_000  # with what has come and was not given out yet
                assert proxy.sessions.buffered > 200_000
                assert not sending.done()
                sending.cancel()
                socket.transport.abort()


@every_loop
async def test_a_client_that_does_not_read_holds_its_host_back():
    async with running_proxy() as proxy:
        with Source(200_000_000) as peer:
            async with connect(proxy, path(peer), max_queue=1) as socket:
                await until(lambda: proxy.sessions.buffered > 200_000)
                for _ in range(30):
                    await asyncio.sleep(0.01)
                    assert proxy.sessions.buffered < 1_000_000
                socket.transport.abort()


async def test_a_message_beyond_the_limit_ends_its_connection_alone(echo_server):
    async with (
        running_proxy(Limits(message_bytes=100_000)) as proxy,
        connect(proxy, path(echo_server)) as bystander,
        connect(proxy, path(echo_server)) as socket,
    ):
        await socket.send(bytes(100_001))
        assert (await closing(socket))[1] == 1009
        await bystander.send(bytes(100_000))
        assert await received(bystander, 100_000) == bytes(100_000)


async def test_a_client_that_is_dead_is_noticed_and_one_that_is_held_back_is_not(echo_server, silent_server):
    async with running_proxy(keepalive=1.0) as proxy, contextlib.AsyncExitStack() as stack:
        alive, held_back, dead = [
            await stack.enter_async_context(connect(proxy, path(peer), ping_interval=None))
            for peer in (echo_server, silent_server, echo_server)
        ]
        sending = [asyncio.create_task(held_back.send(bytes(1 << 20))) for _ in range(20)]
        dead.transport.pause_reading()
        watch = Stopwatch()
        await until(lambda: len(proxy.sessions) == 2)
        watch.stop(0, 3)
        await asyncio.sleep(2.5)
        assert len(proxy.sessions) == 2
        for task in sending:
            task.cancel()
        await alive.send(b"hello")
        assert await received(alive, 5) == b"hello"
        for socket in (held_back, dead):
            socket.transport.abort()


@every_loop
async def test_a_client_that_leaves_while_it_is_held_back_is_forgotten(monkeypatch):
    monkeypatch.setattr(client, "FLUSH_TIMEOUT", 0.2)
    async with running_proxy(keepalive=0.1) as proxy:
        with Silent(receive_buffer=4096) as peer:
            async with connect(proxy, path(peer)) as socket:
                sending = asyncio.gather(
                    *(socket.send(bytes(1 << 20)) for _ in range(20)), return_exceptions=True
                )
                await until(lambda: proxy.sessions.buffered > 500_000)
                socket.transport.abort()
                await sending
            await until(lambda: (len(proxy.sessions), proxy.sessions.sockets) == (0, 0), 3)


async def test_what_is_no_handshake_is_refused(proxy, echo_server):
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(f"GET {path(echo_server)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    assert echo_server.accepted == 0


async def test_a_client_that_leaves_at_once_leaves_nothing_behind(proxy, echo_server):
    for _ in range(20):
        async with connect(proxy, path(echo_server)):
            pass
    await until(lambda: not len(proxy.sessions), timeout=5)


async def test_what_it_sent_still_goes_out_however_much_that_is(proxy):
    data = pattern(1_000_000)  # far beyond a window, and all of it in one message
    with Sink() as peer:
        async with connect(proxy, path(peer)) as socket:
            await socket.send(data)
        await until(lambda: peer.ended, timeout=5)
        assert bytes(peer.data) == data
    await until(lambda: not len(proxy.sessions), timeout=5)
