"""The browser's own WebSocket, by its three faces, against a real server; no proxy is involved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.page_python import PageError, PagePython
from tests.websocket_site import WebSocketSite

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
LARGEST = 16 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[WebSocketSite]:
    with WebSocketSite() as server:
        yield server


@pytest.fixture(scope="module")
def page(open_python: Callable[..., PagePython]) -> PagePython:
    """Nothing is installed: there is no proxy."""
    return open_python(install=False)


@pytest.fixture(scope="module")
def worker(open_python: Callable[..., PagePython]) -> PagePython:
    return open_python(install=False, thread="worker")


@pytest.fixture(params=["page", "worker"])
def place(request: pytest.FixtureRequest) -> PagePython:
    """Both threads that Python runs on."""
    python: PagePython = request.getfixturevalue(request.param)
    return python


def test_messages_of_every_size_come_back(place, page, server):
    source = """
        from pynet_browser.websocket import connect
        from pynet_browser.websocket.sync import connect as connect_now
        wrong = []
        async with connect(url) as awaited:
            with connect_now(url) as waiting:
                for size in sizes:
                    data = (bytes(range(256)) * (size // 256 + 1))[:size]
                    text = "ä" * (size // 2)
                    for message in (data, text) if size < largest else (data,):
                        await awaited.send(message)
                        if await awaited.recv() != message: wrong.append(("awaited", size))
                        waiting.send(message)
                        if waiting.recv() != message: wrong.append(("waiting", size))
        wrong
    """
    sizes = [*SIZES, LARGEST] if place is page else SIZES  # once is enough
    assert place.run(source, url=f"{server.url}/echo", sizes=sizes, largest=LARGEST, timeout=60) == []


def test_ten_thousand_messages_come_in_order(page, server):
    source = """
        from pynet_browser.websocket import connect
        from pynet_browser.websocket.sync import connect as connect_now
        async with connect(url) as connection:
            awaited = [int(message) async for message in connection]
        with connect_now(url) as connection:
            waiting = [int(message) for message in connection]
        [awaited == list(range(10_000)), waiting == awaited, connection.close_code]
    """
    assert page.run(source, url=f"{server.url}/count/10000", timeout=60) == [True, True, 1000]


@pytest.mark.parametrize(
    ("code", "ok"), [(1000, True), (1001, True), (1011, False), (3000, False), (4999, False)]
)
def test_how_the_server_closes_is_told(place, server, code, ok):
    source = """
        from pynet_browser.websocket import ConnectionClosed, connect
        async with connect(url) as connection:
            try:
                await connection.recv()
            except ConnectionClosed as error:
                told = [type(error).__name__, error.code, error.reason]
            try:
                await connection.send("more")
            except ConnectionClosed as error:
                told.append(error.code)
        told
    """
    kind = "ConnectionClosedOK" if ok else "ConnectionClosedError"
    assert place.run(source, url=f"{server.url}/close/{code}") == [kind, code, "as asked", code]


def test_a_connection_that_breaks_is_an_error(place, server):
    source = """
        from pynet_browser.websocket import ConnectionClosedError, connect
        async with connect(url) as connection:
            await connection.send("break")
            try:
                await connection.recv()
            except ConnectionClosedError as error:
                told = [error.code, isinstance(error, ConnectionError)]
        told
    """
    assert place.run(source, url=f"{server.url}/break") == [1006, True]


def wait_until_closed(server, how):
    """Until the server knows that a connection was closed in this way."""
    while server.closed.get(timeout=10) != how:
        pass


def test_how_the_page_closes_is_told_to_the_server(place, server):
    source = """
        from pynet_browser.websocket import connect
        connection = await connect(url)
        await connection.close(3210, "genug")
        await connection.close()
        refused = []
        for code, reason in ((1002, ""), (3000, "x" * 124)):
            try:
                await connection.close(code, reason)
            except ValueError as error:
                refused.append(str(error))
        [connection.close_code, refused]
    """
    code, refused = place.run(source, url=f"{server.url}/echo")
    assert code == 3210
    assert len(refused) == 2
    wait_until_closed(server, (3210, "genug"))


def test_closing_waits_for_nothing_where_nothing_can_wait(place, server):
    source = """
        import builtins
        from pynet_browser.websocket.sync import connect
        builtins.connection = connect(url)
        None
    """
    place.run(source, url=f"{server.url}/echo")
    close = """
        import builtins
        from pynet_browser import BlockingError
        try:
            builtins.connection.close(3000, "now")
            told = "closed"
        except BlockingError:
            told = "cannot wait"
        told
    """
    assert place.run(close, entry="sync") == "cannot wait"
    assert place.run("import builtins; builtins.connection.close(); builtins.connection.close_code") == 3000
    assert place.run(close, entry="sync") == "closed"
    wait_until_closed(server, (3000, "now"))


@pytest.mark.parametrize("path", ["/refuse", "nobody"])
def test_a_handshake_that_fails_is_said(place, server, path):
    source = """
        from pynet_browser.websocket import InvalidHandshake, connect
        try:
            await connect(url)
        except InvalidHandshake as error:
            told = str(error)
        told
    """
    url = "ws://127.0.0.1:9/" if path == "nobody" else server.url + path
    assert "no WebSocket at " + url in place.run(source, url=url)


def test_subprotocols_are_agreed_upon_or_the_handshake_fails(place, server):
    source = """
        from pynet_browser.websocket import InvalidHandshake, connect
        async with connect(url, subprotocols=["chat.one", "other"]) as connection:
            chosen = connection.subprotocol
        async with connect(url) as connection:
            none = connection.subprotocol
        try:
            async with connect(url, subprotocols=["other"]) as connection:
                mismatch = connection.subprotocol
        except InvalidHandshake:
            mismatch = "refused"
        [chosen, none, mismatch]
    """
    assert place.run(source, url=f"{server.url}/echo") == ["chat.one", None, "refused"]


PAUSE = """
    import asyncio, builtins
    from pynet_browser.websocket import connect
    builtins.connection = await connect(url, max_queue=max_queue)
    first = len(await connection.recv())
    for _ in range(patience * 10):
        await asyncio.sleep(0.1)
        if connection.close_code is not None:
            break
    first
"""

READ_ON = """
    from pynet_browser.websocket import ConnectionClosed
    count = 1
    try:
        while count < 1500:
            await connection.recv()
            count += 1
        code = None
    except ConnectionClosed as error:
        code = error.code
    await connection.close()
    [count, code]
"""


def test_a_slow_reader_holds_the_server_back(page, server):
    server.sent = 0
    assert page.run(PAUSE, url=f"{server.url}/fast/2000", max_queue=4, patience=2) == 65536
    assert server.sent < 1000
    assert page.run(READ_ON, timeout=60) == [1500, None]


@pytest.mark.parametrize("max_queue", [None, 4])
def test_without_a_brake_a_slow_reader_is_disconnected(page, server, max_queue):
    if max_queue:
        page.run("from pyodide.code import run_js; run_js('delete globalThis.WebSocketStream'); None")
    url = f"{server.url}/fast/100000"  # it must not come to an end before it hears that it is to stop
    assert page.run(PAUSE, url=url, max_queue=max_queue, patience=30, timeout=60) == 65536
    count, code = page.run(READ_ON, timeout=60)
    assert code == 4008
    assert count * 65536 <= (64 << 20) + 2 * 65536  # one was read, and one went beyond


def test_a_fast_sender_waits_for_the_browser(place, server):
    source = """
        from pynet_browser.websocket import connect
        most = 0
        async with connect(url) as connection:
            for _ in range(300):
                await connection.send(bytes(65536))
                most = max(most, connection.buffered_amount)
            for _ in range(300):
                await connection.recv()
        most
    """
    assert place.run(source, url=f"{server.url}/echo", timeout=60) <= (1 << 20) + 65536


def test_pings_and_headers_are_refused_with_a_sentence(place, server):
    source = """
        from pynet_browser.websocket import connect
        told = []
        async with connect(url) as connection:
            try:
                await connection.ping()
            except NotImplementedError as error:
                told.append(str(error))
        try:
            connect(url, additional_headers={"a": "b"})
        except TypeError as error:
            told.append(str(error))
        told
    """
    pings, headers = place.run(source, url=f"{server.url}/echo")
    assert "browsers answer pings by themselves" in pings
    assert "additional_headers" in headers


def test_async_for_connects_anew(place, server):
    source = """
        from pynet_browser.websocket import ConnectionClosed, connect
        heard = []
        async for connection in connect(url):
            try:
                heard.append(len(await connection.recv()))
                await connection.recv()
            except ConnectionClosed:
                pass
            if len(heard) == 3:
                break
        heard
    """
    assert place.run(source, url=f"{server.url}/fast/1") == [65536] * 3


def test_callbacks_tell_what_happens(place, server):
    source = """
        import asyncio
        from pynet_browser.websocket import ReadyState, WebSocket, is_supported
        told, done = [], asyncio.Event()
        def opened(socket):
            told.append(["open", socket.ready_state.name, socket.protocol, socket.url])
            socket.send_text("Grüße")
            socket.send_binary(b"\\x00\\xff")
        def heard(socket, message):
            told.append(["message", message if isinstance(message, str) else list(message)])
            if isinstance(message, bytes):
                socket.close(3001, "done")
        def closed(socket, code, reason, clean):
            told.append(["close", code, reason, clean, socket.ready_state.name])
            done.set()
        socket = WebSocket(url, ["chat.one"], onopen=opened, onmessage=heard, onclose=closed)
        told.append([socket.ready_state.name, socket.buffered_amount, is_supported()])
        await done.wait()
        try:
            socket.send("late")
        except ConnectionError as error:
            told.append(str(error))
        socket.delete()
        socket.delete()
        told
    """
    url = f"{server.url}/echo"
    assert place.run(source, url=url) == [
        ["CONNECTING", 0, True],
        ["open", "OPEN", "chat.one", url],
        ["message", "Grüße"],
        ["message", [0, 255]],
        ["close", 3001, "done", True, "CLOSED"],
        "the WebSocket is closed, not open",
    ]


def test_what_browsers_refuse_is_a_value_error(place, server):
    source = """
        from pynet_browser.websocket import WebSocket, connect
        told = []
        for make in (
            lambda: WebSocket("ftp://a"),
            lambda: WebSocket(url, ["same", "same"]),
            lambda: WebSocket(url + "#part"),
        ):
            try:
                make()
            except ValueError as error:
                told.append(bool(str(error)))
        told
    """
    assert place.run(source, url=f"{server.url}/echo") == [True] * 3


def test_a_connection_is_shared_with_other_threads(page, worker, server):
    token = page.run(
        """
        from pynet_browser.websocket import connect
        import builtins
        builtins.connection = await connect(url)
        builtins.connection.share()
        """,
        url=f"{server.url}/echo",
    )
    source = """
        from pynet_browser.websocket import ConnectionClosed, attach
        connection = await attach(token)
        for number in range(200):
            await connection.send(f"worker {number}")
        heard = [await connection.recv() for _ in range(200)]
        await connection.close(3003, "by the worker")
        [heard == [f"worker {number}" for number in range(200)], connection.close_code]
    """
    assert worker.run(source, token=token) == [True, 3003]
    heard, code = page.run(
        """
        import builtins
        from pynet_browser.websocket import ConnectionClosed
        heard = []
        try:
            while True:
                heard.append(await builtins.connection.recv())
        except ConnectionClosed as error:
            code = error.code
        [heard, code]
        """
    )
    assert heard == [f"worker {number}" for number in range(200)]
    assert code == 3003


def test_who_attaches_by_a_wrong_token_is_told(page):
    began = time.monotonic()
    with pytest.raises(PageError, match="nobody shares a connection"):
        page.run("from pynet_browser.websocket import attach; await attach('wrong')")
    assert time.monotonic() - began < 20
