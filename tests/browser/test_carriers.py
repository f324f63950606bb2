"""Where WebSockets do not get through, the session is carried by HTTP, until they do."""

from __future__ import annotations

import pytest

from tests.http_only import HttpOnly


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    return start_proxy("--origin", proxy.url)


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


# WebSockets are tried again after 5 to 10 s, as chance decides.
SOON = "() => { Math.random = () => 0; }"

UNTIL_BACK = """
import asyncio, pynet_browser, socket, time

loop, carriers, count = asyncio.get_running_loop(), [], 0
with socket.create_connection((host, port), 10) as connection:
    connection.settimeout(10)
    begin = time.monotonic()
    while carriers[-1:] != ["WebSocket"] and time.monotonic() < begin + 25:
        count += 1
        message = f"message {count}".encode()
        connection.sendall(message)
        assert connection.recv(len(message), socket.MSG_WAITALL) == message
        if (carrier := pynet_browser.status().carrier) not in carriers:
            carriers.append(carrier)
        if count == 5:
            tell("carried")
[carriers, count > 10, pynet_browser.status().state]
"""


def test_a_socket_goes_on_when_the_session_comes_back_to_a_websocket(page, install, behind, echo_server):
    page.evaluate(SOON)
    with HttpOnly(behind.address) as network:
        install(network, behind)

        def let_through(_word):
            network.blocks = False

        found = page.run(
            UNTIL_BACK, tell=let_through, timeout=40, host=echo_server.host, port=echo_server.port
        )
        assert found == [["HTTP", "WebSocket"], True, "attached"]
        assert network.refused == 1
    assert echo_server.accepted == 1


def test_what_python_waits_for_synchronously_arrives_while_http_carries_the_session(
    page, install, behind, echo_server
):
    source = """
import pynet_browser, socket
with socket.create_connection((host, port), 10) as connection:
    connection.sendall(b"both ways")
    answer = connection.recv(9, socket.MSG_WAITALL).decode()
[answer, pynet_browser.status().carrier, pynet_browser.status().waiting]
"""
    where = {"host": echo_server.host, "port": echo_server.port}
    with HttpOnly(behind.address) as network:
        install(network, behind)
        for entry, waiting in (("sync", "xhr"), ("async", "jspi"), ("sync", "xhr")):
            assert page.run(source, entry=entry, **where) == ["both ways", "HTTP", waiting]
