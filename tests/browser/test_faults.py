"""What goes wrong between page and network reaches Python as a true exception, in bounded time."""

from __future__ import annotations

import re
import time
from urllib.request import Request, urlopen

import pytest

from tests.beside import Beside
from tests.page_python import PageError
from tests.relay import Relay
from tests.servers.process import free_port


def failing(python, source, **names):
    """The error that the code leaves."""
    with pytest.raises(PageError) as caught:
        python.run(source, **names)
    return caught.value


CONNECT = "import socket; socket.create_connection((host, port), 10)"


@pytest.fixture(scope="module")
def loose(open_python):
    """A page without a network; tests install one in place of that before."""
    return open_python(install=False)


def test_a_proxy_that_stops_breaks_its_sockets_and_says_why(open_python, start_proxy, echo_server):
    proxy = start_proxy()
    page = open_python(proxy)
    page.run(
        """
        import socket
        connection = __import__("builtins").connection = socket.create_connection((host, port), 10)
        connection.sendall(b"x")
        connection.recv(1)
        None
        """,
        host=echo_server.host,
        port=echo_server.port,
    )
    proxy.stop()
    error = failing(page, "connection.settimeout(None); connection.recv(1)", timeout=10)
    assert (error.type, error.errno) == ("ConnectionResetError", "ECONNRESET")
    assert "the proxy was stopped" in error.message
    # A new connection is not left waiting for a proxy that is gone.
    error = failing(page, "import socket; socket.create_connection(('127.0.0.1', 9), 3)", timeout=20)
    assert error.type in ("OSError", "TimeoutError")


def test_a_proxy_that_is_killed_breaks_its_sockets_after_the_grace_period(
    open_python, start_proxy, echo_server, tmp_path
):
    config = tmp_path / "proxy.toml"
    config.write_text("grace = 1.0\n")
    proxy = start_proxy("--config", str(config))
    page = open_python(proxy)
    page.run(
        "import socket; __import__('builtins').connection = socket.create_connection((host, port), 10); None",
        host=echo_server.host,
        port=echo_server.port,
    )
    proxy.kill()
    error = failing(page, "connection.settimeout(None); connection.recv(1)", timeout=10)
    assert (error.type, error.errno) == ("TimeoutError", "ETIMEDOUT")


def test_a_proxy_that_comes_back_is_used_again(open_python, start_proxy, echo_server):
    proxy = start_proxy("--port", str(free_port()))
    page = open_python(proxy)
    arguments = {"host": echo_server.host, "port": echo_server.port}
    page.run(CONNECT + "; None", **arguments)
    proxy.stop()
    start_proxy("--port", str(proxy.port), f"--token={proxy.token}")
    page.run(CONNECT + "; None", **arguments)


@pytest.mark.parametrize(
    ("token", "sentence"), [("wrong", "the token is not this proxy's"), ("", "wants a token")]
)
def test_a_wrong_token_is_refused_with_a_sentence(loose, proxy, token, sentence):
    source = """
import pynet_browser
try:
    await pynet_browser.install(url, token=token)
except pynet_browser.ProxyRefusedError as error:
    found = [error.code, str(error), isinstance(error, ConnectionError)]
found
"""
    found = loose.run(source, url=proxy.ws_url, token=token)
    assert found[0] == "token"
    assert sentence in found[1]
    assert found[2] is True


def test_a_page_of_another_origin_is_refused_and_told_what_to_change(loose, proxy, start_proxy):
    other = start_proxy()
    source = """
import pynet_browser
try:
    await pynet_browser.install(url, token=token)
except pynet_browser.ProxyRefusedError as error:
    found = [error.code, str(error)]
found
"""
    code, message = loose.run(source, url=other.ws_url, token=other.token)
    assert code == "origin"
    assert f"--origin {proxy.url}" in message
    allowed = start_proxy("--origin", proxy.url)
    loose.run(
        "import pynet_browser; await pynet_browser.install(url, token=token)",
        url=allowed.ws_url,
        token=allowed.token,
    )


def test_no_proxy_at_the_address_is_an_error_that_names_it(loose, refusing_port):
    url = f"ws://127.0.0.1:{refusing_port.port}/pynet"
    error = failing(loose, "import pynet_browser; await pynet_browser.install(url)", url=url)
    assert error.type == "ProxyUnreachableError"
    assert url in error.message


def test_what_the_policy_refuses_is_a_permission_error_that_names_the_rule(
    open_python, start_proxy, echo_server
):
    proxy = start_proxy("--deny", f"127.0.0.1:{echo_server.port}")
    page = open_python(proxy)
    error = failing(page, CONNECT, host=echo_server.host, port=echo_server.port)
    assert (error.type, error.errno) == ("PolicyError", "EACCES")
    assert f"127.0.0.1:{echo_server.port}" in error.message
    source = """
try:
    {}
except PermissionError as error:
    kind = type(error).__name__
kind
""".format(CONNECT.replace("; ", "\n    "))
    assert page.run(source, host=echo_server.host, port=echo_server.port) == "PolicyError"
    assert echo_server.accepted == 0


# ── Where Python cannot be suspended ──────────────────────────────────────────────────────────────────────

SYNCHRONOUS = "source => pyodide.runPython(source)"
"""Runs Python on the JavaScript stack, which cannot be set aside."""


@pytest.fixture(scope="module")
def suspending(open_python, proxy):
    """Python whose blocking calls wait by suspending it, or not at all."""
    page = open_python(install=False)
    page.run(
        "import pynet_browser; await pynet_browser.install(url, token=token, blocking='jspi'); None",
        url=proxy.ws_url,
        token=proxy.token,
    )
    return page


@pytest.mark.parametrize("operation", ["connect", "recv", "sendall", "select", "getaddrinfo"])
def test_waiting_is_an_error_and_no_harm_where_only_suspending_is_wanted(suspending, echo_server, operation):
    arguments = f"({echo_server.host!r}, {echo_server.port})"
    suspending.run(
        f"""
import builtins, socket
builtins.connection = socket.create_connection({arguments}, 10)
connection.settimeout(None)
None
"""
    )
    waits = {
        "connect": f"socket.create_connection({arguments})",
        "recv": "connection.recv(1)",
        "sendall": "connection.sendall(bytes(64 << 20))",
        "select": "select.select([connection], [], [], 5)",
        "getaddrinfo": "socket.getaddrinfo('localhost', 80)",
    }
    found = suspending.evaluate(
        SYNCHRONOUS,
        f"""
import pynet_browser, select, socket
try:
    {waits[operation]}
except OSError as error:
    found = [type(error).__name__, isinstance(error, RuntimeError), "runPythonAsync" in str(error)]
' '.join(map(str, found))
""",
    )
    expected = "OSError False False" if operation == "select" else "BlockingError True True"
    assert found == expected
    # The interpreter lives, and so does what needs no waiting.
    assert (
        suspending.run(f"import socket; socket.create_connection({arguments}, 10).getpeername()[0]")
        == "127.0.0.1"
    )


def test_data_that_is_there_is_read_without_suspending(python, echo_server):
    python.run(
        """
import builtins, select, socket
builtins.connection = socket.create_connection((host, port), 10)
connection.sendall(b"ready")
select.select([connection], [], [], 10)
None
""",
        host=echo_server.host,
        port=echo_server.port,
    )
    assert python.evaluate(SYNCHRONOUS, "connection.recv(5).decode()") == "ready"


FAILING = """
import builtins, errno, time
start = time.monotonic()
try:
    {call}
    found = "nothing"
except OSError as error:
    found = f"{{errno.errorcode.get(error.errno)}} {{error}}"
builtins.took = time.monotonic() - start
found
"""


@pytest.fixture
def grace():
    """Seconds that a session outlives its carrier."""
    return 3.0


@pytest.fixture
def config(tmp_path, grace):
    """The file of a proxy that does not drain."""
    config = tmp_path / "proxy.toml"
    config.write_text(f"grace = {grace}\ndrain = 0.0\n")
    return config


@pytest.fixture
def waiting(loose, proxy, start_proxy, config, echo_server):
    """A page with an open socket, its proxy, and the relay between them."""
    behind = start_proxy("--origin", proxy.url, "--config", str(config))
    with Relay(behind.address) as relay:
        loose.run(
            """
            import builtins, socket
            import pynet_browser
            await pynet_browser.install(url, token=token)
            builtins.connection = socket.create_connection((host, port), 10)
            connection.settimeout(None)
            None
            """,
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
            host=echo_server.host,
            port=echo_server.port,
        )
        yield loose, behind, relay
        # The interpreter lives, whatever was.
        assert loose.evaluate(SYNCHRONOUS, "6 * 7") == 42


def resumed(behind):
    """How many sessions the proxy has resumed."""
    bearer = {"Authorization": f"Bearer {behind.token}"}
    with urlopen(Request(f"{behind.url}/metrics", headers=bearer)) as answer:
        told = answer.read().decode()
    counts = re.findall(r'^pynet_decisions_total\{.*decision="resumed".*\} (\S+)$', told, re.MULTILINE)
    return sum(map(float, counts))


def during_the_wait(behind, act):
    """Does ``act`` as soon as the page waits by a request of its own, which has resumed its session."""
    before = resumed(behind)

    def when_it_waits():
        while resumed(behind) == before:
            time.sleep(0.01)
        act()

    beside = Beside(when_it_waits)
    beside.start()
    return beside


def test_a_proxy_that_is_killed_fails_a_synchronous_wait_after_the_grace_period(waiting):
    page, behind, _ = waiting
    killing = during_the_wait(behind, behind.kill)
    found = page.evaluate(SYNCHRONOUS, FAILING.format(call="connection.recv(1)"))
    killing.result()
    assert found.startswith("ETIMEDOUT")
    assert page.run("took") < 10


def test_a_proxy_that_stops_fails_a_synchronous_wait_and_says_why(waiting):
    page, behind, _ = waiting
    stopping = during_the_wait(behind, behind.stop)
    found = page.evaluate(SYNCHRONOUS, FAILING.format(call="connection.recv(1)"))
    stopping.result()
    assert found.startswith("ECONNRESET")
    assert "the proxy was stopped" in found


def test_a_proxy_that_was_restarted_fails_a_synchronous_wait_and_serves_the_next(
    waiting, start_proxy, proxy, echo_server
):
    page, behind, relay = waiting
    another = start_proxy("--origin", proxy.url, f"--token={behind.token}")

    def restart():
        relay.redirect(another.address)
        behind.kill()

    restarting = during_the_wait(behind, restart)
    found = page.evaluate(SYNCHRONOUS, FAILING.format(call="connection.recv(1)"))
    restarting.result()
    assert found.startswith("ECONNRESET")
    source = f"""
import socket
with socket.create_connection(({echo_server.host!r}, {echo_server.port}), 10) as new:
    new.sendall(b"new")
    answer = new.recv(3, socket.MSG_WAITALL).decode()
answer
"""
    assert page.evaluate(SYNCHRONOUS, source) == "new"


@pytest.mark.parametrize("grace", [30.0])
def test_a_timeout_holds_where_no_proxy_answers(waiting):
    page, behind, _ = waiting
    behind.kill()
    found = page.evaluate(SYNCHRONOUS, FAILING.format(call="connection.settimeout(0.3); connection.recv(1)"))
    assert "timed out" in found
    assert 0.3 <= page.run("took") < 10
