"""Unmodified asyncio programs: streams, Redis, aiohttp, websockets; as clients, as servers, many at once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
from typing import Any

import aiohttp
import pytest
import websockets.sync.client

from tests.curl import REPORT, curl
from tests.peers import Echo, pattern

PACKAGES = ["aiohttp", "redis", "websockets"]


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────


def test_streams_speak_to_redis(anywhere, redis_server):
    source = """
import asyncio
reader, writer = await asyncio.open_connection(host, port)
writer.write(b"PING\\r\\n")
pong = await reader.readline()
# A thousand commands under way, and answers taken one by one.
for number in range(1000):
    writer.write(f"ECHO {number}\\r\\n".encode())
await writer.drain()
answers = []
for _ in range(1000):
    length = int((await reader.readline())[1:])
    answers.append((await reader.readexactly(length + 2)).strip())
peer = list(writer.get_extra_info("peername"))
writer.close()
await writer.wait_closed()
[pong.decode(), answers == [str(number).encode() for number in range(1000)], peer]
"""
    answer = anywhere.run(source, host=redis_server.host, port=redis_server.port)
    assert answer == ["+PONG\r\n", True, [redis_server.host, redis_server.port]]


def test_streams_carry_megabytes_both_ways_at_once(anywhere, echo_server):
    source = """
import asyncio, hashlib
reader, writer = await asyncio.open_connection(host, port)
sent, received = hashlib.sha256(), hashlib.sha256()

async def write():
    for number in range(200):
        piece = number.to_bytes(2, "big") * 16_384
        sent.update(piece)
        writer.write(piece)
        await writer.drain()
    writer.write_eof()

async def read():
    while piece := await reader.read(65_536):
        received.update(piece)

await asyncio.gather(write(), read())
writer.close()
await writer.wait_closed()
[sent.hexdigest() == received.hexdigest(), received.hexdigest()]
"""
    same, digest = anywhere.run(source, host=echo_server.host, port=echo_server.port)
    assert same
    assert digest == hashlib.sha256(b"".join(n.to_bytes(2, "big") * 16_384 for n in range(200))).hexdigest()


def test_a_callback_that_sets_an_option_ends_before_the_next_begins(anywhere, echo_server):
    source = """
import asyncio, socket

class Impatient(asyncio.Protocol):
    def connection_made(self, transport):
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        steps.append("made")

steps = []
loop = asyncio.get_running_loop()
transport, _ = await loop.create_connection(Impatient, host, port)
steps.append("connected")
transport.close()
steps
"""
    steps = anywhere.run(source, host=echo_server.host, port=echo_server.port)
    assert steps == ["made", "connected"]


def test_a_stream_tells_of_a_port_that_refuses(anywhere, refusing_port):
    source = """
import asyncio
try:
    await asyncio.open_connection(host, port)
except ConnectionRefusedError as error:
    result = type(error).__name__
result
"""
    where = {"host": refusing_port.host, "port": refusing_port.port}
    assert anywhere.run(source, **where) == "ConnectionRefusedError"


# ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────


def test_redis_clients_work_side_by_side(anywhere, redis_server):
    source = """
import asyncio, redis.asyncio
async def count(number):
    async with redis.asyncio.Redis(host=host, port=port) as client:
        pipeline = client.pipeline()
        pipeline.delete(f"count:{number}")
        for _ in range(100):
            pipeline.incrby(f"count:{number}", number)
        await pipeline.execute()
        return int(await client.get(f"count:{number}"))
await asyncio.gather(*(count(number) for number in range(50)))
"""
    counts = anywhere.run(source, host=redis_server.host, port=redis_server.port)
    assert counts == [number * 100 for number in range(50)]


def test_redis_takes_and_returns_five_megabytes(anywhere, redis_server):
    source = """
import os, redis.asyncio
value = os.urandom(5_000_000)
async with redis.asyncio.Redis(host=host, port=port) as client:
    await client.set("large", value)
    same = await client.get("large") == value
same
"""
    assert anywhere.run(source, host=redis_server.host, port=redis_server.port) is True


def test_redis_publishes_to_a_subscriber_that_waits(anywhere, redis_server):
    source = """
import asyncio, redis.asyncio
async with redis.asyncio.Redis(host=host, port=port) as client:
    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe("news")

        async def listen():
            messages = []
            async for message in subscriber.listen():
                messages.append(message["data"].decode())
                if len(messages) == 100:
                    return messages

        listening = asyncio.create_task(listen())
        while await client.publish("news", "item 0") == 0:  # until Redis knows of the subscription
            await asyncio.sleep(0)
        for number in range(1, 100):
            await client.publish("news", f"item {number}")
        messages = await listening
messages
"""
    messages = anywhere.run(source, host=redis_server.host, port=redis_server.port)
    assert messages == [f"item {number}" for number in range(100)]


# ── aiohttp ─────────────────────────────────────────────────────────────────────────────────────────────


def test_aiohttp_fetches_many_things_at_once(anywhere, http_server):
    source = """
import aiohttp, asyncio, hashlib, io
async with aiohttp.ClientSession(f"http://{host}:{port}", trust_env=False) as session:

    async def fetch(path):
        async with session.get(path) as response:
            return response.status, hashlib.sha256(await response.read()).hexdigest()

    paths = [f"/{kind}?bytes={size}" for size in (0, 1, 70_000, 2_000_000) for kind in ("large", "chunked")]
    bodies = await asyncio.gather(*(fetch(path) for path in paths * 3))
    async with session.post("/", data=io.BytesIO(b"x" * 3_000_000)) as response:
        posted = len(await response.read())
    async with session.get("/redirect") as response:
        redirected = [len(response.history), await response.text()]
    async with session.get("/status/404") as response:
        missing = response.status
    try:
        async with session.get("/cut?bytes=100000") as response:
            await response.read()
    except aiohttp.ClientPayloadError as error:
        cut = type(error).__name__
[bodies, posted, redirected, missing, cut]
"""
    answer = anywhere.run(source, host=http_server.host, port=http_server.port, timeout=60)
    bodies, posted, redirected, missing, cut = answer
    digests = [hashlib.sha256(pattern(size)).hexdigest() for size in (0, 1, 70_000, 2_000_000)]
    assert bodies == [[200, digest] for digest in digests for _ in range(2)] * 3
    assert posted == 3_000_000
    assert redirected == [1, "hello from the HTTP server\n"]
    assert (missing, cut) == (404, "ClientPayloadError")


def test_aiohttp_finds_a_host_by_name(anywhere, http_server):
    source = """
import aiohttp
async with aiohttp.ClientSession() as session:
    async with session.get(f"http://localhost:{port}/") as response:
        text = await response.text()
text
"""
    assert anywhere.run(source, port=http_server.port) == "hello from the HTTP server\n"


def test_aiohttp_gives_up_when_its_time_is_over(anywhere, silent_server):
    source = """
import aiohttp, asyncio
async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.3)) as session:
    try:
        async with session.get(f"http://{host}:{port}/") as response:
            result = response.status
    except asyncio.TimeoutError:
        result = "timed out"
result
"""
    assert anywhere.run(source, host=silent_server.host, port=silent_server.port) == "timed out"


AIOHTTP_SERVER = """
import asyncio, hashlib
from aiohttp import web

stopped = asyncio.Event()
routes = web.RouteTableDef()

@routes.get("/bytes/{count}")
async def send(request):
    return web.Response(body=b"x" * int(request.match_info["count"]))

@routes.post("/digest")
async def digest(request):
    return web.json_response({"sha256": hashlib.sha256(await request.read()).hexdigest()})

@routes.get("/slowly")
async def slowly(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(100):
        await response.write(f"{number}\\n".encode())
        await asyncio.sleep(0.001)
    return response

@routes.get("/websocket")
async def echo(request):
    connection = web.WebSocketResponse(max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        if isinstance(message.data, str):
            await connection.send_str(message.data)
        else:
            await connection.send_bytes(message.data)
    return connection

@routes.get("/stop")
async def stop(request):
    stopped.set()
    return web.Response(text="stopping")

application = web.Application(client_max_size=10_000_000)
application.add_routes(routes)
runner = web.AppRunner(application)
await runner.setup()
await web.TCPSite(runner, "127.0.0.1", 0).start()
tell(runner.addresses[0][1])
await stopped.wait()
await runner.cleanup()
"""


SIZES = (0, 1, 100_000, 3_000_000)
CONVERSATION: list[str | bytes] = [*(f"message {number}" for number in range(100)), pattern(1_000_000)]


async def talk_to_aiohttp(port: int) -> tuple[Any, ...]:
    """Uses every route, several at once, and stops the server."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", raise_for_status=True) as session:

        async def get(path: str) -> bytes:
            async with session.get(path) as response:
                return await response.read()

        async def post(size: int) -> str:
            async with session.post("/digest", data=io.BytesIO(pattern(size))) as response:
                answer: dict[str, str] = await response.json()
                return answer["sha256"]

        async def converse() -> list[str | bytes]:
            async with session.ws_connect("/websocket", max_msg_size=0) as connection:
                for message in CONVERSATION:
                    if isinstance(message, str):
                        await connection.send_str(message)
                    else:
                        await connection.send_bytes(message)
                return [(await connection.receive(10)).data for _ in CONVERSATION]

        try:
            return await asyncio.gather(
                asyncio.gather(*(get(f"/bytes/{size}") for size in SIZES), get("/slowly")),
                asyncio.gather(*map(post, SIZES)),
                asyncio.gather(converse(), converse()),
            )
        finally:
            await get("/stop")


def test_aiohttp_serves_pages_and_websockets(serve):
    _, (bodies, digests, conversations) = serve(
        AIOHTTP_SERVER, lambda port: asyncio.run(talk_to_aiohttp(port)), timeout=60
    )
    *bodies, slow = bodies
    assert bodies == [b"x" * size for size in SIZES]
    assert digests == [hashlib.sha256(pattern(size)).hexdigest() for size in SIZES]
    assert conversations == [CONVERSATION, CONVERSATION]
    assert slow == "".join(f"{number}\n" for number in range(100)).encode()


def test_aiohttp_keeps_a_connection_for_what_it_refuses_too(serve):
    def client(port):
        url = f"http://127.0.0.1:{port}"
        transfers = [
            (f"{url}/nothing", *REPORT, "/dev/null", "--next"),
            (f"{url}/digest", *REPORT, "/dev/null", "--next"),
            ("--head", f"{url}/bytes/1000", *REPORT, "/dev/null", "--next"),
            ("--data-binary", "x" * 100_000, f"{url}/digest", *REPORT, "/dev/null", "--next"),
            (f"{url}/stop", *REPORT, "/dev/null"),
        ]
        return [line.split()[:2] for line in curl(*itertools.chain(*transfers))]

    _, transfers = serve(AIOHTTP_SERVER, client)
    assert transfers == [["404", "1"], ["405", "0"], ["200", "0"], ["200", "0"], ["200", "0"]]


# ── websockets ──────────────────────────────────────────────────────────────────────────────────────────


def test_websockets_speaks_to_a_server(anywhere, websocket_echo):
    source = """
import asyncio
from websockets.asyncio.client import connect

async def converse(number):
    async with connect(url, max_size=None, proxy=None) as connection:
        messages = [f"{number}:{turn}" for turn in range(50)] + [bytes([number]) * 300_000]
        for message in messages:
            await connection.send(message)
        answers = [await connection.recv() for _ in messages]
        await (await connection.ping())
    return answers == messages and connection.close_code

await asyncio.gather(*(converse(number) for number in range(10)))
"""
    assert anywhere.run(source, url=websocket_echo.url) == [1000] * 10


def test_websockets_serves_clients(serve):
    source = """
import asyncio
from websockets.asyncio.server import serve

async def handle(connection):
    total = 0
    async for message in connection:
        if message == "stop":
            stopped.set()
            return
        total += len(message)
        await connection.send(f"{total}")

stopped = asyncio.Event()
async with serve(handle, "127.0.0.1", 0, max_size=None) as server:
    tell(server.sockets[0].getsockname()[1])
    await stopped.wait()
"""

    def client(port):
        totals = []
        url = f"ws://127.0.0.1:{port}/"
        with websockets.sync.client.connect(url, proxy=None) as one:
            with websockets.sync.client.connect(url, proxy=None) as other:
                for size in (0, 1, 125, 126, 65_536, 2_000_000):
                    for connection in (one, other):
                        connection.send(pattern(size))
                totals = [connection.recv(10) for _ in range(6) for connection in (one, other)]
            one.send("stop")
            with pytest.raises(websockets.exceptions.ConnectionClosedOK):
                one.recv(10)
        return totals

    sums = ["0", "1", "126", "252", "65788", "2065788"]
    assert serve(source, client)[1] == [total for total in sums for _ in range(2)]


# ── many ────────────────────────────────────────────────────────────────────────────────────────────────

MANY = """
import asyncio

def words(number):
    return [bytes([number % 256, turn]) * (number % 7 * 100 + 1) for turn in range(5)]

async def converse(number, address):
    reader, writer = await asyncio.open_connection(*address)
    opened.append(number)
    if len(opened) == count:
        all_open.set()
    await all_open.wait()
    for word in words(number):
        writer.write(word)
        if await reader.readexactly(len(word)) != word:
            return f"{number}: other bytes"
    writer.write_eof()
    if rest := await reader.read():
        return f"{number}: {len(rest)} bytes too many"
    writer.close()
    await writer.wait_closed()

async def converse_with_all(address):
    results = await asyncio.gather(*(converse(number, address) for number in range(count)))
    return [wrong for wrong in results if wrong]

opened, all_open = [], asyncio.Event()
"""


def test_a_thousand_connections_echo_at_once(anywhere):
    with Echo() as echo:
        where = {"address": echo.address, "count": 1000}
        assert anywhere.run(MANY + "await converse_with_all(address)", timeout=90, **where) == []
        assert echo.accepted == 1000


WITHIN = """
served = []

async def serve(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    served.append(writer)
    writer.close()
    await writer.wait_closed()

server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=count)
wrong = await converse_with_all(server.sockets[0].getsockname()[:2])
server.close()
await server.wait_closed()
[wrong, len(served)]
"""


def test_a_thousand_connections_echo_within_one_program(anywhere):
    assert anywhere.run(MANY + WITHIN, timeout=90, count=500) == [[], 500]


def test_a_thousand_connections_echo_within_a_page_without_a_proxy(open_python):
    python = open_python(install=False)
    python.run("import pynet_browser; await pynet_browser.install(None); None")
    assert python.run(MANY + WITHIN, timeout=90, count=1000) == [[], 1000]
