"""Sockets over servers that others wrote, beside the contract in test_contract.py."""

from __future__ import annotations

import pytest

from tests.contract_peers import contract_peers
from tests.servers.gateways import WispJs


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


ECHO = """
import pynet_browser, socket
await pynet_browser.install(url)
with socket.create_connection(tuple(address), timeout=10) as connection:
    connection.sendall(b"over Wisp")
    data = connection.recv(100)
    data, str(pynet_browser.status())
"""


def test_echo(page, peers):
    with WispJs() as server:
        print(page.run(ECHO, url=server.url, address=peers["echo"]))
        raise AssertionError
