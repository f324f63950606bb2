"""The `python` fixture tells the truth about what happens in the page."""

import socket
import threading

import pytest

from tests.page_python import PageError, PageTimeoutError
from tests.peers import TcpPeer


def test_values_go_in_and_come_out(python):
    assert python.run("[1, {'twice': number * 2}]", number=21) == [1, {"twice": 42}]


def test_code_may_await_and_may_be_indented(python):
    value = python.run("""
        import asyncio
        await asyncio.sleep(0.01)
        "awake"
    """)
    assert value == "awake"


def test_an_exception_comes_out_with_the_name_of_its_number(python):
    with pytest.raises(PageError, match=r"ConnectionRefusedError: .* no") as caught:
        python.run("import errno; raise ConnectionRefusedError(errno.ECONNREFUSED, 'no')")
    assert caught.value.type == "ConnectionRefusedError"
    assert caught.value.errno == "ECONNREFUSED"


def test_code_that_hangs_is_left_behind(python):
    with pytest.raises(PageTimeoutError, match=r"asyncio\.sleep\(60\)"):
        python.run("import asyncio; await asyncio.sleep(60)", timeout=0.2)
    assert python.run("'still here'") == "still here"


class AnswersWhenTold(TcpPeer):
    """Sends what it was told, as soon as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Event()
        self._value = b""

    def tell(self, value: str) -> None:
        self._value = value.encode()
        self._told.set()

    def serve(self, connection: socket.socket) -> None:
        self._told.wait(10)
        connection.sendall(self._value)


def test_code_tells_the_test_something_while_it_runs(python):
    source = """
        import socket
        with socket.create_connection((host, port), 20) as connection:
            tell("hello")
            answer = connection.recv(100).decode()
        answer
    """
    with AnswersWhenTold() as peer:
        assert python.run(source, tell=peer.tell, host=peer.host, port=peer.port) == "hello"


def test_an_uncaught_javascript_error_is_noticed(python):
    python.evaluate("() => { setTimeout(() => { throw new Error('boom'); }); }")
    python.run("import asyncio; await asyncio.sleep(0.05)")
    [error] = python.page_errors
    assert "boom" in error
    python.page_errors.clear()


def test_packages_of_the_examples_install_without_an_index(python):
    python.run("import micropip; await micropip.install(['redis', 'pg8000'])", timeout=60)
    assert python.run("import redis, pg8000.dbapi; redis.__version__, pg8000.dbapi.apilevel")


# ── Browsers, threads, entries ──────────────────────────────────────────────────────────────────────────


@pytest.fixture(
    scope="module",
    params=[(browser, thread) for browser in ("Chromium", "Firefox") for thread in ("page", "worker")],
    ids=" ".join,
)
def anywhere(request, open_python):
    browser, thread = request.param
    return open_python(browser=browser, thread=thread, install=False)


WHERE = """
from js import navigator
from pyodide.ffi import can_run_sync
import js
["Firefox" in navigator.userAgent, hasattr(js, "document"), can_run_sync()]
"""


@pytest.mark.parametrize("entry", ["async", "sync", "callback"])
def test_python_runs_where_it_should_and_is_entered_as_it_should(anywhere, request, entry):
    browser, thread = request.node.callspec.params["anywhere"]
    assert anywhere.run(WHERE, entry=entry) == [browser == "Firefox", thread == "page", entry == "async"]


@pytest.mark.parametrize("entry", ["async", "sync", "callback"])
def test_values_and_errors_come_out_of_each(anywhere, entry):
    told: list[object] = []
    value = anywhere.run(
        """
        tell({"said": number})
        number + 1
    """,
        entry=entry,
        number=41,
        tell=told.append,
    )
    assert (value, told) == (42, [{"said": 41}])
    with pytest.raises(PageError, match="ValueError: invalid literal") as caught:
        anywhere.run("int('x')", entry=entry)
    assert caught.value.type == "ValueError"
