"""Whatever answers where a proxy should, Python gets an error or tries again, in bounded time."""

from __future__ import annotations

import pytest

from tests.beside import Beside
from tests.nonsense import NONSENSE, Endless, Nonsense
from tests.page_python import PageError
from tests.peers import Silent
from tests.relay import Relay


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    return start_proxy("--origin", proxy.url)


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


@pytest.fixture(autouse=True)
def nothing_is_left(page):
    """Whatever a test has installed is gone after it."""
    yield
    page.run("import pynet_browser; pynet_browser.uninstall()")


def install(page, port, token=""):
    page.run(
        "import pynet_browser; await pynet_browser.install(url, token=token); None",
        url=f"ws://127.0.0.1:{port}/pynet",
        token=token,
    )


INSTALL_SYNC = """([url, token]) => pyodide.runPython(`
import pynet_browser
try:
    pynet_browser.install_sync(url, token=token)
    outcome = "installed"
except Exception as error:
    outcome = f"{type(error).__name__}: {error}"
outcome`, { globals: pyodide.toPy({ url, token }) })"""


def assert_usable(page, behind, echo_server):
    """The interpreter lives, and can have a network."""
    install(page, behind.port, behind.token)
    source = """
import socket
with socket.create_connection((host, port), 10) as connection:
    connection.sendall(b"x")
    answer = connection.recv(1).decode()
answer
"""
    assert page.run(source, host=echo_server.host, port=echo_server.port) == "x"


@pytest.mark.parametrize("kind", NONSENSE)
def test_install_names_what_is_no_proxy(page, behind, echo_server, kind):
    with Nonsense(NONSENSE[kind]) as server:
        with pytest.raises(PageError) as caught:
            install(page, server.port)
        assert caught.value.type == "ProxyUnreachableError"
        assert f"ws://127.0.0.1:{server.port}/pynet" in caught.value.message
        assert server.asked >= 2  # by WebSocket and by HTTP
    assert_usable(page, behind, echo_server)


@pytest.mark.parametrize("kind", NONSENSE)
def test_so_does_install_sync(page, behind, echo_server, kind):
    with Nonsense(NONSENSE[kind]) as server:
        outcome = page.evaluate(INSTALL_SYNC, [f"ws://127.0.0.1:{server.port}/pynet", ""])
        assert outcome.startswith("ProxyUnreachableError")
        assert f"ws://127.0.0.1:{server.port}/pynet" in outcome
    assert_usable(page, behind, echo_server)


def test_who_accepts_and_says_nothing_is_given_up(page, behind, echo_server):
    with Silent() as server, pytest.raises(PageError) as caught:
        install(page, server.port)
    assert caught.value.type == "ProxyUnreachableError"
    assert_usable(page, behind, echo_server)


def test_an_answer_without_end_is_given_up_and_not_kept(page, behind, echo_server):
    with Endless() as server:
        with pytest.raises(PageError) as caught:
            install(page, server.port)
        assert caught.value.type == "ProxyUnreachableError"
        assert server.sent < 64 << 20
    assert_usable(page, behind, echo_server)


OPEN = """
import builtins, socket
builtins.connection = socket.create_connection((host, port), 30)
connection.sendall(b"before")
assert connection.recv(6, socket.MSG_WAITALL) == b"before"
None
"""

GO_ON = "connection.sendall(b'after'); connection.recv(5, 256).decode()"


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("suspends", [True, False], ids=["suspended", "synchronous"])
def test_a_session_outlives_nonsense_in_between(page, behind, echo_server, kind, suspends):
    """As when a laptop is carried into a café, and out again."""
    with Nonsense(NONSENSE[kind]) as portal, Relay(behind.address) as relay:
        install(page, relay.port, behind.token)
        page.run(OPEN, host=echo_server.host, port=echo_server.port)
        relay.redirect(portal.address)
        relay.cut()
        before = relay.accepted

        def leave():
            relay.wait_for(lambda relay: relay.accepted >= before + 5)
            relay.redirect(behind.address)

        leaving = Beside(leave)
        leaving.start()
        if suspends:
            assert page.run(GO_ON, timeout=60) == "after"
        else:
            assert page.evaluate("source => pyodide.runPython(source)", GO_ON) == "after"
        leaving.result()
    assert echo_server.accepted == 1
