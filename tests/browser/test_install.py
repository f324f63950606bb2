"""install, status and uninstall."""

from __future__ import annotations

import pytest

from tests.page_python import PageError


def test_uninstall_puts_everything_back(open_python, proxy):
    page = open_python(install=False)
    source = """
import _socket, select, selectors, socket
import pynet_browser
from pyodide_js import _module as module

def snapshot():
    return [
        {name: id(value) for name, value in vars(owner).items()}
        for owner in (_socket, socket, socket.socket, select, selectors.SelectSelector)
    ] + [[str(getattr(module.SOCKFS, "pollAsync", None)), str(module.DNS.lookup_name)]]

before = snapshot()
await pynet_browser.install(url, token=token)
during = snapshot()
pynet_browser.uninstall()
pynet_browser.uninstall()
[before == during, before == snapshot(), pynet_browser.status().installed]
"""
    assert page.run(source, url=proxy.ws_url, token=proxy.token) == [False, True, False]


def test_sockets_open_at_uninstall_fail_and_those_of_a_new_install_work(python, proxy, echo_server):
    source = """
import socket
import pynet_browser
old = socket.create_connection((host, port), 10)
await pynet_browser.install(url, token=token)
with socket.create_connection((host, port), 10) as new:
    new.sendall(b"new")
    answer = new.recv(3).decode()
try:
    old.recv(1)
except OSError as error:
    kind = type(error).__name__
old.close()
[answer, kind]
"""
    names = {"host": echo_server.host, "port": echo_server.port, "url": proxy.ws_url, "token": proxy.token}
    assert python.run(source, **names) == ["new", "OSError"]


def test_the_address_that_the_proxy_prints_is_enough(open_python, proxy):
    page = open_python(install=False)
    source = "import pynet_browser; await pynet_browser.install(url); pynet_browser.status().state"
    assert page.run(source, url=f"{proxy.url}/?token={proxy.token}") == "attached"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8765", "ftp://127.0.0.1/", "ws:///pynet"])
def test_what_is_no_address_of_a_proxy_is_a_value_error(python, url):
    with pytest.raises(PageError) as caught:
        python.run("import pynet_browser; await pynet_browser.install(url)", url=url)
    assert caught.value.type == "ValueError"


def test_status_tells_of_the_proxy_and_each_socket(python, proxy, echo_server):
    source = """
import socket
import pynet_browser
with socket.create_connection((host, port), 10) as connection:
    connection.sendall(b"12345")
    connection.recv(2)
    status = pynet_browser.status()
    [mine] = [each for each in status.sockets if each.fd == connection.fileno()]
    local = connection.getsockname()
    text, html = str(status), status._repr_html_()
[status.installed, status.url, status.state, status.carrier, status.waiting, status.round_trip < 5,
 mine.state, list(mine.peer), list(mine.local) == list(local), mine.sent, mine.received, mine.queued,
 str(port) in text, "<table>" in html]
"""
    found = python.run(source, host=echo_server.host, port=echo_server.port)
    peer = [echo_server.host, echo_server.port]
    assert found[:6] == [True, proxy.ws_url, "attached", "WebSocket", "jspi", True]
    assert found[6:] == ["established", peer, True, 5, 5, 3, True, True]


def test_uninstalling_ends_what_asyncio_has_open(open_python, proxy, echo_server):
    page = open_python()
    source = """
import asyncio, pynet_browser
loop = asyncio.get_running_loop()
class Lost(asyncio.Protocol):
    def connection_lost(self, exception):
        lost.set_result("lost")
lost = loop.create_future()
await loop.create_connection(Lost, host, port)
pynet_browser.uninstall()
[await asyncio.wait_for(lost, 10), pynet_browser.status().installed]
"""
    assert page.run(source, host=echo_server.host, port=echo_server.port) == ["lost", False]
