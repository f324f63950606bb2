"""The contract suites in the page: our sockets do what Linux's do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager as ContextManager
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from tests import contract
from tests.browser.contract_page import bring_contract, open_contract
from tests.contract_peers import Peers, contract_peers
from tests.http_only import HttpOnly
from tests.servers import ProxyProcess
from tests.servers.gateways import Websockify, WispJs


@pytest.fixture(scope="module")
def peers():
    with contract_peers() as addresses:
        yield addresses


@pytest.fixture(scope="module", params=["WebSocket", "HTTP"])
def page(request, open_python, start_proxy, proxy):
    """A page whose session is carried so."""
    if request.param == "WebSocket":
        yield open_contract("proxy", open_python, start_proxy)
        return
    behind = start_proxy("--listen", "*:*", "--origin", proxy.url)
    python = open_python(install=False)
    bring_contract(python)
    with HttpOnly(behind.address) as relay:
        python.run(
            "import pynet_browser; await pynet_browser.install(url, token=token); None",
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
        )
        assert python.run("import pynet_browser; pynet_browser.status().carrier") == "HTTP"
        yield python
        python.run("import pynet_browser; pynet_browser.uninstall()")


@pytest.fixture(scope="module")
def lone_page(open_python, start_proxy):
    return open_contract("page", open_python, start_proxy)


# ── Over servers that others wrote ──────────────────────────────────────────────────────────────────────

CANNOT = {"addresses", "both-ends", "half-close", "look-ups"}
"""What no server but ours carries."""


@dataclass(frozen=True)
class Gateway:
    """A server that others wrote, or a part of ours that is like it.

    Attributes:
        cannot: What it lacks beyond the others.
    """

    start: Callable[[Callable[[], ProxyProcess], Peers], ContextManager[tuple[str, str]]]
    cannot: frozenset[str] = frozenset()


@contextmanager
def our_wisp(start, _peers):
    proxy = start()
    yield f"wisp://{proxy.host}:{proxy.port}/wisp/", proxy.token


@contextmanager
def our_websockify(start, _peers):
    proxy = start()
    yield f"websockify://{proxy.host}:{proxy.port}/websockify/{{host}}/{{port}}", proxy.token


@contextmanager
def wisp_js(_start, _peers):
    with WispJs() as server:
        yield server.url, ""


@contextmanager
def websockify(_start, peers):
    targets = [peer for peer in peers.values() if isinstance(peer, tuple)]
    names = [("localhost", port) for _, port in targets]
    with Websockify([*targets, *names]) as server:
        yield server.url, ""


GATEWAYS = {
    "our Wisp": Gateway(our_wisp),
    "wisp-js": Gateway(wisp_js, frozenset({"confirmation", "draining", "resets"})),
    "our websockify": Gateway(our_websockify, frozenset({"confirmation", "datagrams"})),
    "websockify": Gateway(websockify, frozenset({"back-pressure", "confirmation", "datagrams"})),
}


@pytest.fixture(scope="module")
def bare_page(open_python):
    python = open_python(install=False)
    bring_contract(python)
    return python


@pytest.fixture(scope="module")
def gateway_page(request, bare_page, start_proxy, proxy, peers):
    """A page whose sockets go through a server that others wrote, or through one like it."""
    start = partial(start_proxy, "--origin", proxy.url)
    with GATEWAYS[request.param].start(start, peers) as (url, token):
        bare_page.run(
            "import pynet_browser; await pynet_browser.install(url, token=token or None); None",
            url=url,
            token=token,
        )
        yield bare_page
        bare_page.run("import pynet_browser; pynet_browser.uninstall()")


REMOTE = [
    (name, *case)
    for name, gateway in GATEWAYS.items()
    for case in contract.names()
    if not contract.demands(*case) & (CANNOT | gateway.cannot)
]


@pytest.mark.parametrize(("gateway_page", "suite", "name"), REMOTE, indirect=["gateway_page"])
def test_sockets_over_other_servers_keep_what_those_can(suite, name, gateway_page, peers):
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    gateway_page.run(RUN, suite=suite, name=name, peers=peers)


RUN = "from tests import contract; contract.run(suite, name, peers)"


@pytest.mark.parametrize("entry", ["async", "sync"])
@pytest.mark.parametrize(("suite", "name"), contract.names())
def test_sockets_through_a_proxy_keep_the_contract(suite, name, entry, page, peers):
    """Entered by ``async`` calls wait by suspending Python, by ``sync`` by synchronous requests."""
    if missing := contract.missing(suite, name, peers):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    page.run(RUN, entry=entry, suite=suite, name=name, peers=peers)


@pytest.mark.parametrize(("suite", "name"), contract.names(given=["host6"]))
def test_sockets_of_a_page_alone_keep_the_contract(suite, name, lone_page):
    lone_page.run(RUN, suite=suite, name=name, peers={"host6": "::1"})


CLOSING = """
import asyncio, contextlib, select, socket

async def close(sock):
    sock.close()

found = []
with contextlib.ExitStack() as stack:
    one, other = map(stack.enter_context, socket.socketpair())
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    hearing = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    hearing.bind(("127.0.0.1", 0))
    for sock in (one, listener, hearing):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        descriptor = sock.fileno()
        task = asyncio.ensure_future(close(sock))  # runs while poll waits
        found.append(poller.poll(10_000) == [(descriptor, select.POLLNVAL)])
        await task
found
"""


# Here alone: on Linux a thread waits on, and there is no other thread in a page.


def test_a_wait_for_a_socket_ends_when_another_task_closes_it(page):
    assert page.run(CLOSING) == [True, True, True]


def test_so_does_one_in_a_page_alone(lone_page):
    assert lone_page.run(CLOSING) == [True, True, True]
