"""PyScript: the package in `<script type="py">`; interpreter and packages come from the page's own host."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.matrix import Cell
from tests.http_only import HttpOnly
from tests.peers import Echo
from tests.servers import ROOT, ProxyProcess
from tests.static_host import ISOLATED, StaticHost

START = 60_000
"""Milliseconds: Pyodide starts on a machine that may have other things to do."""

PAGE = """<!doctype html>
<link rel="icon" href="data:,">
<script type="module" src="/pyscript/core.js"></script>
<button id="ask">Ask</button>
<script type="py" {attributes} config='{config}'>
{program}
</script>
"""

ASK = """
import socket

import pynet_browser

{install}

def ask():
    with socket.create_connection(echo) as connection:
        connection.sendall(b"hello from PyScript")
        return connection.recv(100).decode()

print("told:", ask(), pynet_browser.status().waiting)
"""

AWAIT = ASK.format(install="await pynet_browser.install(url, token=token)")
NEVER_AWAIT = ASK.format(install="pynet_browser.install_sync(url, token=token)")

# What runs where, and how its calls wait there.
SCRIPTS = {
    "page": ("", AWAIT, "jspi"),
    "page-synchronous": ('async="false"', NEVER_AWAIT, "xhr"),
    "worker": ("worker", AWAIT, "jspi"),
    "worker-synchronous": ('worker async="false"', NEVER_AWAIT, "xhr"),
}

ASK_WHEN_CLICKED = """
import socket

import pynet_browser
from pyscript import when

await pynet_browser.install(url, token=token)

@when("click", "#ask")
def ask():
    with socket.create_connection(echo) as connection:
        connection.sendall(b"hello from a handler")
        print("told:", connection.recv(100).decode(), pynet_browser.status().waiting)

print("ready")
"""


PAGES = itertools.count()


class Site:
    """A static host with PyScript, Pyodide, our wheel, and pages."""

    def __init__(self, directory: Path, url: str, wheel: Path) -> None:
        self._directory = directory
        self._url = url
        # A worker's own address is a blob's, so that an address without a host means nothing to it.
        packages = [f"{url}/dist/{wheel.name}"]
        self._config = json.dumps({"interpreter": "/pyodide/pyodide.mjs", "packages": packages})

    def write(self, program: str, attributes: str = "", **names: object) -> str:
        """A new page that runs ``program``: its address. ``names`` are the program's global variables."""
        assignments = "\n".join(f"{name} = {value!r}" for name, value in names.items())
        name = f"{next(PAGES)}.html"
        (self._directory / name).write_text(
            PAGE.format(attributes=attributes, config=self._config, program=f"{assignments}\n{program}")
        )
        return f"{self._url}/{name}"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[dict[str, Site]]:
    """Isolated, PyScript's workers reach the page's `window` and `document`; nothing of ours needs that."""
    directory = tmp_path_factory.mktemp("site")
    for name, target in {
        "pyscript": "js/node_modules/@pyscript/core/dist",
        "pyodide": "build/pyodide",
        "dist": "dist",
    }.items():
        (directory / name).symlink_to(ROOT / target)
    with StaticHost(directory) as plain, StaticHost(directory, ISOLATED) as isolated:
        yield {
            "plain": Site(directory, plain.url, wheel),
            "isolated": Site(directory, isolated.url, wheel),
        }


@pytest.fixture
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    found: Site = sites[request.param]
    return found


class Tab:
    """A page of the site.

    Attributes:
        page: Playwright's page.
        requests: every URL it asked for.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self._heard: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        page.on("console", lambda message: self._heard.append(message.text))
        page.on("pageerror", lambda error: self._heard.append(f"uncaught: {error}"))

    def hear(self, beginning: str, action: Callable[[], object]) -> str:
        """The line with this beginning that is printed after ``action``."""
        try:
            with self.page.expect_console_message(
                lambda message: message.text.startswith(beginning), timeout=START
            ) as heard:
                action()
        except PlaywrightTimeoutError as error:
            error.add_note("\n".join(self._heard))
            raise
        return heard.value.text.rstrip()


@pytest.fixture(scope="module")
def open_proxy(start_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """A proxy for pages of any origin that have its token."""
    return start_proxy("--origin", "*")


@dataclass(frozen=True)
class Reached:
    """The proxy, and what gets through to it.

    Attributes:
        carrier: ``WebSocket``, or ``HTTP`` where nothing else does.
        names: what programs are told of it.
    """

    carrier: str
    names: dict[str, str]


@pytest.fixture
def reached(request: pytest.FixtureRequest, open_proxy: ProxyProcess) -> Iterator[Reached]:
    token = open_proxy.token
    if request.param == "WebSocket":
        yield Reached("WebSocket", {"url": open_proxy.url, "token": token})
        return
    with HttpOnly(open_proxy.address) as network:
        yield Reached("HTTP", {"url": f"http://127.0.0.1:{network.port}/", "token": token})


@pytest.fixture
def tab(profile: BrowserContext) -> Iterator[Tab]:
    """A page that is not open yet. At the end it has asked nobody but this machine."""
    tab = Tab(profile.new_page())
    try:
        yield tab
    finally:
        tab.page.close()
    asked = {urlsplit(url).hostname for url in tab.requests if not url.startswith(("blob:", "data:"))}
    assert asked == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("site", "reached"),
    [("plain", "WebSocket"), ("isolated", "WebSocket"), ("plain", "HTTP")],
    indirect=True,
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_waits_for_a_socket(
    tab: Tab,
    site: Site,
    reached: Reached,
    echo_server: Echo,
    *,
    script: str,
    record_property: Callable[[str, Cell], None],
):
    attributes, program, waiting = SCRIPTS[script]
    thread, entry = "PyScript, " + script.partition("-")[0], "async" if waiting == "jspi" else "sync"
    record_property("cell", ("Chromium", thread, entry, reached.carrier))
    url = site.write(program, attributes, **reached.names, echo=echo_server.address)
    told = tab.hear("told: ", lambda: tab.page.goto(url))
    assert told == f"told: hello from PyScript {waiting}"
    assert len(tab.page.workers) == ("worker" in attributes)


@pytest.mark.parametrize(("site", "reached"), [("plain", "WebSocket"), ("plain", "HTTP")], indirect=True)
def test_a_handler_of_an_event_waits_for_a_socket(
    tab: Tab,
    site: Site,
    reached: Reached,
    echo_server: Echo,
    record_property: Callable[[str, Cell], None],
):
    record_property("cell", ("Chromium", "PyScript, page", "callback", reached.carrier))
    url = site.write(ASK_WHEN_CLICKED, **reached.names, echo=echo_server.address)
    tab.hear("ready", lambda: tab.page.goto(url))
    told = tab.hear("told: ", lambda: tab.page.get_by_role("button", name="Ask").click())
    assert told == "told: hello from a handler xhr"
