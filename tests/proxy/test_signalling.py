"""Rooms in which two meet: what pages do there, and what only those do who want to harm."""

from __future__ import annotations

import asyncio
import contextlib
import socket as host_socket
import time
from typing import Any

import pytest
import websockets
from websockets import ClientConnection

from pynet_browser.proxy.config import Limits
from pynet_browser.signalling import SUBPROTOCOL
from tests.proxy.foreign import ENCODED_TOKEN, connect, handshake, refusal
from tests.proxy.running import RunningProxy, running_proxy, until


def enter(proxy: RunningProxy, room: str = "room", **options: Any):
    """Somebody who enters as pages do."""
    return connect(proxy, f"/signal/{room}", [SUBPROTOCOL, f"token.{ENCODED_TOKEN}"], **options)


async def heard(socket: ClientConnection) -> str:
    """What one hears next: a message, or what has happened."""
    text = await asyncio.wait_for(socket.recv(), 10)
    assert isinstance(text, str)
    return text.removeprefix("message ")


async def ending(socket: ClientConnection) -> tuple[int | None, str]:
    """How it is closed; what comes before is thrown away."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await asyncio.wait_for(socket.recv(), 10)
    return socket.close_code, socket.close_reason or ""


async def test_two_meet_and_pass_each_other_messages(proxy):
    async with enter(proxy) as ada, enter(proxy) as bob:
        assert ada.subprotocol == SUBPROTOCOL
        assert await heard(ada) == "joined"
        for text in ("Grüße", "", "x" * 60_000):
            await ada.send(text)
            assert await heard(bob) == text
            await bob.send(text)
            assert await heard(ada) == text


async def test_a_room_is_gone_when_nobody_is_in_it(proxy):
    async with enter(proxy, "one"):
        async with enter(proxy, "two"), enter(proxy, "two"):
            await until(lambda: len(proxy.rooms) == 2)
        await until(lambda: len(proxy.rooms) == 1)
    await until(lambda: len(proxy.rooms) == 0)


async def test_whoever_stays_hears_that_the_other_left_however_he_does(proxy):
    async with enter(proxy) as ada:
        for leave in (lambda other: other.close(), lambda other: other.transport.abort()):
            async with enter(proxy) as bob:
                assert await heard(ada) == "joined"
                leaving = leave(bob)
                if leaving:
                    await leaving
                assert await heard(ada) == "left"


async def test_a_third_is_refused_with_a_sentence_and_the_two_are_not_disturbed(proxy):
    async with enter(proxy) as ada, enter(proxy) as bob:
        assert await heard(ada) == "joined"
        async with enter(proxy) as carl:
            with contextlib.suppress(websockets.ConnectionClosed):
                await carl.send("let me in")
            code, reason = await ending(carl)
        assert (code, reason[:27]) == (4409, "two are in this room; try a")
        await bob.send("hello")
        assert await heard(ada) == "hello"


async def test_there_are_only_so_many_rooms():
    async with running_proxy(Limits(rooms=1)) as proxy, enter(proxy, "one") as ada:
        async with enter(proxy, "two") as refused:
            assert await ending(refused) == (
                1013,
                "there are 1 rooms, the most that are allowed (limits.rooms)",
            )
        async with enter(proxy, "one"):
            assert await heard(ada) == "joined"


async def test_a_message_has_only_so_many_bytes():
    async with running_proxy(Limits(room_message_bytes=1000)) as proxy, enter(proxy) as ada:
        async with enter(proxy) as bob:
            await bob.send("x" * 1000)
            assert [await heard(ada), await heard(ada)] == ["joined", "x" * 1000]
            await bob.send("x" * 1001)
            assert (await ending(bob))[0] == 1009
        assert await heard(ada) == "left"


async def test_who_sends_too_fast_has_to_go_and_the_other_stays():
    limits = Limits(room_messages_per_second=1, room_burst=3)
    async with running_proxy(limits) as proxy, enter(proxy) as ada:
        async with enter(proxy) as bob:
            start = time.monotonic()
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(20):
                    await bob.send("again")
            assert await ending(bob) == (
                1008,
                "more than 1 messages a second (limits.room_messages_per_second)",
            )
        most = 4 + time.monotonic() - start
        assert await heard(ada) == "joined"
        count = 0
        while (said := await heard(ada)) == "again":
            count += 1
        assert said == "left"
        assert 3 <= count <= most


async def test_who_says_nothing_has_to_go():
    async with running_proxy(Limits(room_idle=1)) as proxy, enter(proxy) as ada:
        assert await ending(ada) == (4408, "nothing was said for 1 s (limits.room_idle)")


async def test_nobody_stays_for_ever():
    async with running_proxy(Limits(room_lifetime=1)) as proxy, enter(proxy) as ada:
        while ada.close_code is None:
            with contextlib.suppress(websockets.ConnectionClosed):
                await ada.send("still here")
            await asyncio.sleep(0.1)
        assert (ada.close_code, ada.close_reason) == (4408, "in the room for 1 s (limits.room_lifetime)")


async def test_who_does_not_take_what_is_said_is_cut_off_and_the_other_hears_it():
    limits = Limits(room_messages_per_second=100_000, room_burst=100_000)
    async with running_proxy(limits) as proxy, enter(proxy) as ada:
        reader, writer = await silent(proxy, "room")
        assert await heard(ada) == "joined"
        # What the system's buffers hold comes before what the proxy counts.
        sending = asyncio.create_task(send_without_end(ada))
        assert await heard(ada) == "left"
        sending.cancel()
        async with enter(proxy):
            assert await heard(ada) == "joined"
        writer.close()
        del reader


async def silent(proxy: RunningProxy, room: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Somebody who enters and then reads nothing."""
    sock = host_socket.create_connection(proxy.address)
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock, limit=1)
    writer.write(
        f"GET /signal/{room}?token={ENCODED_TOKEN} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return reader, writer


async def send_without_end(socket: ClientConnection) -> None:
    while True:
        await socket.send("x" * 60_000)


async def test_one_whose_line_is_dead_is_found_out():
    async with running_proxy(keepalive=0.2) as proxy, enter(proxy) as ada:
        _, writer = await silent(proxy, "room")
        assert [await heard(ada), await heard(ada)] == ["joined", "left"]
        writer.close()


async def test_bytes_are_refused(proxy):
    async with enter(proxy) as ada:
        await ada.send(b"bytes")
        assert await ending(ada) == (1003, "what is said in a room is text")


async def test_what_is_no_websocket_frame_harms_nobody(proxy):
    async with enter(proxy) as ada:
        _, writer = await silent(proxy, "room")
        assert await heard(ada) == "joined"
        writer.write(b"\xff" * 1000)
        assert await heard(ada) == "left"
        writer.close()


@pytest.mark.parametrize("room", ["x" * 65, "a%00b", "%0A", "a%E2%80%8Bb"])
async def test_a_name_that_is_none_is_refused_with_a_sentence(proxy, room):
    status, text = await refusal(proxy, f"/signal/{room}?token={ENCODED_TOKEN}")
    assert (status, text) == (400, "a room's name has 1 to 64 printable characters, and is not . or ..")


async def test_names_may_be_in_any_script_and_have_slashes(proxy):
    async with enter(proxy, "K%C3%BCche%2F7") as ada, enter(proxy, "K%c3%bcche%2f7"):
        assert await heard(ada) == "joined"


async def test_nobody_learns_which_rooms_there_are(proxy):
    async with enter(proxy, "secret"):
        for path in ("/signal", "/signal/"):
            assert (await handshake(proxy, f"{path}?token={ENCODED_TOKEN}"))[0] == 404
        # Without the token an answer is the same, whether the room is there or not.
        assert await refusal(proxy, "/signal/secret") == await refusal(proxy, "/signal/other")


async def test_a_hundred_meet_at_once_and_each_hears_only_the_other():
    async with running_proxy() as proxy, contextlib.AsyncExitStack() as stack:
        pairs = [
            [await stack.enter_async_context(enter(proxy, f"room-{number}")) for _ in range(2)]
            for number in range(50)
        ]
        for number, (_, bob) in enumerate(pairs):
            await bob.send(str(number))
        for number, (ada, _) in enumerate(pairs):
            assert [await heard(ada), await heard(ada)] == ["joined", str(number)]


async def test_a_proxy_that_stops_says_so(proxy):
    async with enter(proxy) as ada, enter(proxy) as bob:
        await proxy.stop()
        assert await ending(ada) == await ending(bob) == (1001, "the proxy was stopped")
