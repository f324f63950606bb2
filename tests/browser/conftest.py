"""A real browser, our proxy as a process, and Python in the page."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, sync_playwright

from tests.beside import Beside
from tests.browser.matrix import table
from tests.driven import QUIET, DrivenBrowser, Product
from tests.host_python import HostPython
from tests.machine import find_chromium
from tests.page_python import PagePython, Thread
from tests.peers import TcpPeer
from tests.relay import Relay
from tests.servers import ROOT, ProxyProcess

CONSOLE_LINES = 50  # shown when a test fails
DESCRIPTORS = 8192  # what a test with a thousand connections needs, here and in the proxy, and more


@pytest.fixture(scope="session", autouse=True)
def enough_descriptors() -> None:
    """Many systems allow 1024 at first, and more to those who ask."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(DESCRIPTORS, hard)), hard))


def make(*targets: str) -> None:
    """Builds what is older than its sources."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}
    }
    made = subprocess.run(
        ["make", "--silent", *targets],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Our wheel, built anew when a source is newer; also Pyodide for the page, when it is not there."""
    make("wheel", "build/pyodide/pyodide-lock.json")
    [path] = (ROOT / "dist").glob("pynet_browser-*.whl")
    return path


@pytest.fixture(scope="session")
def jupyterlite(wheel: Path) -> Path:
    """The JupyterLite site with our wheel. Proxies that are started later serve it."""
    make("jupyterlite")
    return ROOT / "build" / "jupyterlite"


@pytest.fixture(scope="session")
def chromium() -> Iterator[BrowserType]:
    """What starts Chromium."""
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = find_chromium()
    assert path is not None, "Chromium is not installed: run `python tests/machine.py chromium`"
    return path


@pytest.fixture(scope="session")
def browser(chromium: BrowserType, chromium_path: str) -> Iterator[Browser]:
    """For pages with a profile of their own."""
    with chromium.launch(executable_path=chromium_path, args=QUIET) as browser:
        yield browser


@pytest.fixture(scope="session")
def profile(
    chromium: BrowserType, chromium_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """What pages may share: Chromium keeps compiled code there, which saves a third of a page's start."""
    directory = tmp_path_factory.mktemp("profile")
    with chromium.launch_persistent_context(directory, executable_path=chromium_path, args=QUIET) as context:
        yield context


@pytest.fixture(scope="session")
def driven() -> Iterator[DrivenBrowser]:
    """The Chromium of most pages with Python."""
    with DrivenBrowser("Chromium") as browser:
        yield browser


@pytest.fixture(scope="session")
def firefox() -> Iterator[DrivenBrowser]:
    with DrivenBrowser("Firefox") as browser:
        yield browser


@pytest.fixture(scope="session")
def start_proxy(wheel: Path) -> Iterator[Callable[..., ProxyProcess]]:
    """``start_proxy("--deny", "*:25")`` starts one with these arguments; all end with the session."""
    with ExitStack() as stack:

        def start(*arguments: str) -> ProxyProcess:
            proxy = stack.enter_context(ProxyProcess(*arguments))
            stack.callback(proxy.kill)  # sockets of pages that are gone would make it drain
            return proxy

        yield start


@pytest.fixture(scope="session")
def proxy(start_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """The proxy most tests share; whoever stops one starts his own."""
    return start_proxy()


@pytest.fixture(scope="module")
def open_python(
    request: pytest.FixtureRequest, proxy: ProxyProcess, wheel: Path
) -> Iterator[Callable[..., Any]]:
    """``open_python()`` opens a page more; with ``install=False`` it has the package but no connection."""
    pages: list[PagePython] = []

    def open_page(
        through: ProxyProcess = proxy,
        *,
        browser: Product = "Chromium",
        thread: Thread = "page",
        install: bool = True,
        suspends: bool = True,
    ) -> PagePython:
        url = f"{through.url}/healthz"  # any page of the proxy's origin will do; this one has nothing on it
        driver = request.getfixturevalue("driven" if browser == "Chromium" else "firefox")
        python = PagePython(driver, url, thread=thread, suspends=suspends)
        pages.append(python)
        python.run("import micropip; await micropip.install(wheel)", wheel=f"{through.url}/dist/{wheel.name}")
        if install:
            python.run(
                "import pynet_browser; await pynet_browser.install(url, token=token); None",
                url=through.ws_url,
                token=through.token,
            )
        return python

    yield open_page
    for python in pages:
        python.close()
    uncaught = [error for python in pages for error in python.page_errors]
    assert not uncaught, "\n".join(["nobody caught in the page:", *uncaught])


@pytest.fixture(scope="module")
def python(open_python: Callable[..., PagePython]) -> PagePython:
    """Python in a page that is connected to `proxy`; the module's tests share it."""
    return open_python()


@pytest.fixture
def install(request: pytest.FixtureRequest) -> Iterator[Callable[[TcpPeer | Relay, ProxyProcess], None]]:
    """``install(relay, behind)`` has the module's ``page`` reach the proxy through the relay."""
    page: PagePython = request.getfixturevalue("page")

    def install(relay: TcpPeer | Relay, behind: ProxyProcess) -> None:
        page.run(
            "import pynet_browser; await pynet_browser.install(url, token=token); None",
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
        )

    yield install
    page.run("import pynet_browser; pynet_browser.uninstall()")


@pytest.fixture(scope="session")
def listening_proxy(start_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """A proxy at which pages may listen, on loopback."""
    return start_proxy("--listen", "*")


@pytest.fixture(scope="module", params=["linux", "page"])
def anywhere(request: pytest.FixtureRequest) -> HostPython | PagePython:
    """Python on this machine, and then in a page: a program that fails only there fails because of us.

    The page has the packages that the module of the test names in PACKAGES.
    """
    if request.param == "linux":
        return HostPython()
    open_python: Callable[..., PagePython] = request.getfixturevalue("open_python")
    python = open_python(request.getfixturevalue("listening_proxy"))
    packages = getattr(request.module, "PACKAGES", [])
    python.run("import micropip; await micropip.install(packages)", packages=packages, timeout=60)
    return python


@pytest.fixture
def serve(anywhere: HostPython | PagePython) -> Callable[..., tuple[Any, Any]]:
    """``serve(source, client)`` runs a server, and beside it ``client``, which gets what the server tells.

    It returns the values of both; more arguments are global variables of the server.
    """

    def run(source: str, client: Callable[[Any], Any], **options: Any) -> tuple[Any, Any]:
        beside = Beside(client)
        try:
            value = anywhere.run(source, tell=beside.start, **options)
        except Exception:
            if error := beside.error():
                raise error  # noqa: B904 - the server waited in vain, because of this; both are shown
            raise
        return value, beside.result()

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Shows with a failed test what its page printed and what the proxy logged."""
    report = yield
    if report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, PagePython):
                lines = [*fixture.console[-CONSOLE_LINES:], *fixture.page_errors]
                report.sections.append(("the page's console", "\n".join(lines)))
            if isinstance(fixture, ProxyProcess) and report.when != "teardown":  # it may have gone by then
                lines = fixture.log().splitlines()[-CONSOLE_LINES:]
                report.sections.append(("the proxy's log", "\n".join(lines)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where Python was run, as a table."""
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
    ]
    outcomes = [
        (cell, report.passed)
        for report in reports
        for name, cell in getattr(report, "user_properties", [])
        if name == "cell"
    ]
    if outcomes:
        terminalreporter.section("where Python was run, and how it was entered and carried")
        for line in table(outcomes):
            terminalreporter.write_line(line)
