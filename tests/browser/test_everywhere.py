"""The smoke suite in every browser, on every thread, entered in every way, over every carrier."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.http_only import HttpOnly
from tests.peers import DatagramEcho, Echo, HashAtEnd, Refusing, Silent, Source
from tests.smoke import PROGRAMS
from tests.web_site import WebSite
from tests.websocket_site import WebSocketSite

WAITING = {"async": "jspi", "sync": "xhr", "callback": "xhr"}
"""How blocking calls wait, by how Python is entered; both browsers have JSPI."""

PLACES = list(itertools.product(("Chromium", "Firefox"), ("page", "worker"), ("WebSocket", "HTTP")))

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def peers(redis_server, http_server) -> Iterator[dict[str, Any]]:
    """What the programs want, by name."""
    with ExitStack() as stack:
        started: dict[str, Any] = {
            "echo": Echo(),
            "silent": Silent(),
            "refusing": Refusing(),
            "download": Source(MEGABYTE),
            "upload": HashAtEnd(),
            "datagrams": DatagramEcho(),
        }
        addresses: dict[str, Any] = {
            name: list(stack.enter_context(peer).address) for name, peer in started.items()
        }
        addresses["site"] = [http_server.host, http_server.port]
        addresses["store"] = list(redis_server.address)
        addresses["shared"] = stack.enter_context(WebSite(cors=True)).url
        addresses["closed"] = stack.enter_context(WebSite(cors=False)).url
        addresses["sockets"] = stack.enter_context(WebSocketSite()).url
        yield addresses


@pytest.fixture(scope="module")
def behind(start_proxy, proxy):
    """A proxy of another origin than the pages'."""
    return start_proxy("--listen", "*", "--origin", proxy.url)


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def place(request, open_python, behind):
    """Python in that browser and on that thread, connected over that carrier."""
    browser, thread, carrier = request.param
    python = open_python(browser=browser, thread=thread, install=False)
    with ExitStack() as stack:
        port = behind.port if carrier == "WebSocket" else stack.enter_context(HttpOnly(behind.address)).port
        python.run(
            """
            import micropip, pynet_browser, warnings
            await micropip.install("redis")
            warnings.simplefilter("ignore", pynet_browser.SlowWaitingWarning)
            await pynet_browser.install(url, token=token)
            None
            """,
            timeout=60,
            url=f"ws://127.0.0.1:{port}/pynet",
            token=behind.token,
        )
        yield python
        python.run("import pynet_browser; pynet_browser.uninstall()")


@pytest.fixture
def cell(request, place, record_property):
    """Which it is: browser, thread, entry, carrier."""
    browser, thread, carrier = request.node.callspec.params["place"]
    entry = request.node.callspec.params["entry"]
    record_property("cell", (browser, thread, entry, carrier))
    return browser, thread, entry, carrier


@pytest.mark.parametrize("entry", WAITING)
def test_it_is_carried_and_waits_as_it_should(place, cell, entry):
    status = "import pynet_browser; status = pynet_browser.status(); [status.carrier, status.waiting]"
    assert place.run(status, entry=entry) == [cell[3], WAITING[entry]]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("entry", WAITING)
def test_a_program_works(place, cell, entry, program, peers):
    assert place.run(PROGRAMS[program], entry=entry, timeout=60, **peers) is True
