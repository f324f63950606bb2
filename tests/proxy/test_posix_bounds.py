"""What programs with proxied sockets may hold, and what they may send, is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import struct

import pytest

from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.policy import Rule
from tests.peers import Echo, Source
from tests.proxy.foreign import ENCODED_TOKEN, closing, connect, peak_memory
from tests.proxy.posix_peer import Answer, E, program, sockaddr
from tests.proxy.running import EVERY_LOOP, listening, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

WAITALL = 0x100


@every_loop
async def test_messages_without_an_end_are_bounded_together(echo_server, monkeypatch):
    limits = Limits(buffered_total=8 << 20, sessions=8)  # a share is 1 MiB
    async with running_proxy(limits) as proxy, contextlib.AsyncExitStack() as stack:
        prog = await stack.enter_async_context(program(proxy))
        fd = await prog.connected(*echo_server.address)
        path = f"/posix?token={ENCODED_TOKEN}"
        hoarders = [await stack.enter_async_context(connect(proxy, path)) for _ in range(6)]

        async def endless():
            for _ in range(60):
                yield bytes(65_536)
                await asyncio.sleep(0.001)
            await asyncio.Event().wait()

        most, account = 0, proxy.sessions.account

        def counted(change: int) -> None:
            nonlocal most
            account(change)
            most = max(most, proxy.sessions.buffered)

        monkeypatch.setattr(proxy.sessions, "account", counted)
        sending = [asyncio.create_task(ws.send(endless())) for ws in hoarders]
        while not any(ws.close_code for ws in hoarders):
            assert await prog.send(fd, b"hello") == (5, 0, b"")
            assert await prog.recv(fd, 5) == (5, 0, b"hello")
        assert (8 << 20) <= most < (8 << 20) + 6 * proxy.sessions.share
        assert {ws.close_code for ws in hoarders} <= {None, 1013}
        await until(lambda: proxy.sessions.buffered < (8 << 20))
        assert await prog.send(fd, b"hello") == (5, 0, b"")
        for task, ws in zip(sending, hoarders, strict=True):
            task.cancel()
            ws.transport.abort()
        await until(lambda: proxy.sessions.buffered == 0)


@every_loop
async def test_what_comes_before_the_handshake_is_done_counts_too(echo_server):
    async with running_proxy() as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        call = struct.pack("<IIii", 1, 6, 5, 1)
        frames = b"\x82" + bytes([0x80 | len(call)]) + bytes(4) + call + b"\x02\xfe\x27\x10" + bytes(4)
        writer.write(
            f"GET /posix?token={ENCODED_TOKEN} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            + frames
            + bytes(3)
        )
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readexactly(16))[4:] == struct.pack("<Iii", 1, -1, E["EBADF"])
        await until(lambda: proxy.sessions.buffered == 3)
        writer.write(bytes(5000))
        await until(lambda: proxy.sessions.buffered == 5003)
        writer.close()
        await writer.wait_closed()
        await until(lambda: proxy.sessions.buffered == 0)


async def test_only_so_many_sockets(echo_server):
    async with running_proxy(Limits(sockets_per_session=2)) as proxy, program(proxy) as prog:
        fd = await prog.socket()
        await prog.socket()
        assert (await prog.call(1, struct.pack("<iii", 2, 1, 0))).errno == E["EMFILE"]
        assert (await prog.call(7, struct.pack("<iI", fd, 0))).errno == E["EMFILE"]
        await prog.shutdown(fd, 2)
        await prog.socket()


async def test_claimed_lengths_cost_nothing(prog, echo_server):
    fd = await prog.connected(*echo_server.address)
    datagrams = await prog.socket(2, 2)
    before = peak_memory()
    waiting = [prog.recv(fd, 2**32 - 1, flags) for flags in (0, WAITALL)] + [
        prog.recvfrom(datagrams, 2**32 - 1)
    ]
    assert (await prog.send(fd, b"hello", claimed=2**32 - 1)).ret == 5
    assert (await prog.setsockopt(fd, 1, 9, bytes(100_000))).errno in {0, E["EINVAL"]}
    answer = await prog.call(17, struct.pack("<iiiI", fd, 1, 9, 2**32 - 1) + bytes(4))
    assert answer.ret == 0
    answer = await prog.call(5, struct.pack("<iI", fd, 2**32 - 1) + sockaddr("127.0.0.1", 9))
    assert answer.errno == E["EISCONN"]
    assert peak_memory() - before < 16 << 20
    for each in waiting:
        each.cancel()


async def test_a_program_that_reads_no_answers_is_held_back():
    async with running_proxy() as proxy:
        with Source(500_000_000) as peer:
            async with connect(proxy, f"/posix?token={ENCODED_TOKEN}", max_queue=1) as ws:
                await ws.send(struct.pack("<IIiii", 1, 1, 2, 1, 0))
                await ws.send(struct.pack("<IIiI", 2, 5, 100, 16) + sockaddr(*peer.address))
                await asyncio.sleep(0.1)

                async def flood() -> None:
                    for number in range(3, 200_000):
                        await ws.send(struct.pack("<IIiIi", number, 11, 100, 1 << 20, 0))

                flooding = asyncio.create_task(flood())
                for _ in range(50):
                    await asyncio.sleep(0.01)
                    assert proxy.sessions.buffered < 2_000_000
                flooding.cancel()
                ws.transport.abort()


async def test_too_many_calls_at_once_are_answered_too(prog, silent_server):
    fd = await prog.connected(*silent_server.address)
    answers = [prog.recv(fd, 10) for _ in range(1100)]
    async with asyncio.timeout(10):
        refused = [await answer for answer in answers[1024:]]
    assert set(refused) == {Answer(-1, E["EAGAIN"], b"")}
    for answer in answers[:1024]:
        answer.cancel()


async def test_a_message_beyond_the_limit_ends_the_connection():
    async with (
        running_proxy(Limits(posix_message_bytes=100_000)) as proxy,
        connect(proxy, f"/posix?token={ENCODED_TOKEN}") as ws,
    ):
        await ws.send(bytes(100_001))
        assert (await closing(ws))[1] == 1009


async def test_nonsense_is_answered_and_harms_nobody_else(caplog):
    choose = random.Random(7)
    with Echo() as echo:
        allow, deny = (Rule.parse(f"127.0.0.1:{echo.port}"),), (Rule.parse("*:*"),)
        async with (
            running_proxy(allow=allow, deny=deny, listen=listening("*")) as proxy,
            program(proxy) as bystander,
        ):
            fd = await bystander.connected(*echo.address)
            for _ in range(20):
                async with program(proxy) as prog:
                    with contextlib.suppress(Exception):
                        await prog.socket(2, choose.choice([1, 2]))
                        for _ in range(60):
                            head = struct.pack("<iIiI", 100, 16, choose.choice([0, 2, 64]), 16)
                            body = bytearray(head + sockaddr("127.0.0.1", echo.port))
                            body += bytes(choose.randrange(300))
                            for _ in range(choose.randrange(4)):
                                body[choose.randrange(len(body))] = choose.randrange(256)
                            prog.start(choose.randrange(21), bytes(body[: choose.randrange(len(body))]))
                        await prog.ws.send("text")
                        await prog.ws.send(b"\1\2\3")
                        await asyncio.sleep(0.02)
                await bystander.send(fd, b"hello")
                assert (await bystander.recv(fd, 5)).extra == b"hello"
            await until(lambda: len(proxy.sessions) == 1)
            assert proxy.sessions.sockets == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
