"""Notebooks: the site that `make jupyterlite` builds, where nothing but this machine can be reached."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.jupyterlite import Console, JupyterLite, Notebook
from tests.http_only import HttpOnly
from tests.servers import ROOT, ProxyProcess
from tests.static_host import StaticHost

NOTEBOOK = ROOT / "demo" / "jupyterlite" / "network.ipynb"

VEGA_BLUE = [76, 120, 168]  # of marks, where a chart names no other
COUNT_PIXELS = """(canvas, [red, green, blue]) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4)
        count += data[at] === red && data[at + 1] === green && data[at + 2] === blue;
    return count;
}"""

pytestmark = pytest.mark.timeout(240)  # a kernel takes its time to start


@pytest.fixture(scope="module")
def site_proxy(jupyterlite: Path, start_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """A proxy that serves the site."""
    return start_proxy()


@pytest.fixture(scope="module")
def console(browser: Browser, site_proxy: ProxyProcess) -> Iterator[Console]:
    """A kernel that is connected; the module's tests share it."""
    with closing(Console(browser, f"{site_proxy.url}/jupyterlite/")) as console:
        for source in (
            "%pip install pynet-browser",
            "import pynet_browser",
            f"await pynet_browser.install('{site_proxy.url}/?token={site_proxy.token}')",
        ):
            assert console.run(source) == ""
        yield console


def assert_nothing_left_this_machine(tab: JupyterLite) -> None:
    asked = {urlsplit(url).hostname for url in tab.requests if not url.startswith(("blob:", "data:"))}
    assert asked == {"127.0.0.1"}
    # What the kernel asks for, in its worker, was seen too.
    assert any(url.endswith("/static/pyodide/pyodide.asm.wasm") for url in tab.requests)


def addresses(proxy: ProxyProcess, site: str, database) -> str:
    """The notebook's first cell, with what is different on every machine put in."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    source = "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "code"))
    for there, here in {
        "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
        "http://example.com/": site,
        "5432": str(database.port),
        '"user": "postgres"': f'"user": "{database.login}"',
        '"password": ""': f'"password": "{database.password}"',
    }.items():
        assert there in source
        source = source.replace(there, here)
    return source


def functions_by_letter(database) -> list[tuple[str, int]]:
    connection = database.connect()
    try:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT left(proname, 1) AS letter, count(*) FROM pg_proc "
            "WHERE proname ~ '^[a-z]' GROUP BY letter ORDER BY letter"
        )
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def test_the_notebook_runs_from_top_to_bottom(browser, site_proxy, http_server, postgres_server):
    with closing(Notebook(browser, f"{site_proxy.url}/jupyterlite/", NOTEBOOK.name)) as notebook:
        notebook.write(0, addresses(site_proxy, http_server.url, postgres_server))
        notebook.run_all()
        connected, socket, page, database, picture = range(2, 7)
        expect(notebook.output(connected)).to_contain_text("attached over WebSocket")
        expect(notebook.output(connected)).to_contain_text("suspend Python (JSPI)")
        expect(notebook.output(socket)).to_contain_text("it answers HTTP/1.1 200 OK")
        row = notebook.output(socket).locator("table tr").nth(1)
        expect(row).to_contain_text(f"{http_server.host} {http_server.port}")
        expect(notebook.output(page)).to_contain_text("200 OK\nhello from the HTTP server")
        counts = re.findall(r"'(\w)': (\d+)", notebook.output(database).inner_text())
        assert [(letter, int(count)) for letter, count in counts] == functions_by_letter(postgres_server)
        chart = notebook.output(picture).locator("canvas.marks")
        expect(chart).to_be_visible()
        assert chart.evaluate(COUNT_PIXELS, VEGA_BLUE) > 1000
        assert_nothing_left_this_machine(notebook)


def test_a_blocking_call_in_a_cell_lets_tasks_run_while_it_waits(console, echo_server, record_property):
    record_property("cell", ("Chromium", "JupyterLite", "async", "WebSocket"))
    shown = console.run(
        "import asyncio, socket\n"
        f"connection = socket.create_connection({echo_server.address})\n"
        "async def speak(): connection.sendall(b'said by a task')\n"
        "task = asyncio.ensure_future(speak())\n"
        "connection.recv(100), task.done(), pynet_browser.status().waiting"
    )
    assert shown == "(b'said by a task', True, 'jspi')"


def test_a_callback_of_javascript_that_cannot_suspend_waits_too(console, echo_server, record_property):
    record_property("cell", ("Chromium", "JupyterLite", "callback", "WebSocket"))
    shown = console.run(
        "import asyncio, js, socket\n"
        "from pyodide.ffi import create_once_callable\n"
        "done = asyncio.Future()\n"
        "def called_by_javascript():\n"
        "    try:\n"
        f"        with socket.create_connection({echo_server.address}) as connection:\n"
        "            connection.sendall(b'from a callback')\n"
        "            done.set_result((connection.recv(100), pynet_browser.status().waiting))\n"
        "    except OSError as error:\n"
        "        done.set_exception(error)\n"
        "js.setTimeout(create_once_callable(called_by_javascript), 0)\n"
        "await done"
    )
    assert "(b'from a callback', 'xhr')" in shown


def test_both_wait_where_no_websocket_gets_through(
    console, site_proxy, start_proxy, echo_server, record_property
):
    record_property("cell", ("Chromium", "JupyterLite", "async", "HTTP"))
    record_property("cell", ("Chromium", "JupyterLite", "callback", "HTTP"))
    behind = start_proxy("--origin", site_proxy.url)
    with HttpOnly(behind.address) as network:
        url = f"http://127.0.0.1:{network.port}/?token={behind.token}"
        assert console.run(f"await pynet_browser.install('{url}')") == ""
        shown = console.run(
            "import asyncio, js, socket\n"
            "from pyodide.ffi import create_once_callable\n"
            "def ask():\n"
            f"    with socket.create_connection({echo_server.address}) as connection:\n"
            "        connection.sendall(b'by HTTP')\n"
            "        status = pynet_browser.status()\n"
            "        return connection.recv(100), status.carrier, status.waiting\n"
            "done = asyncio.Future()\n"
            "js.setTimeout(create_once_callable(lambda: done.set_result(ask())), 0)\n"
            "ask(), await done"
        )
        assert "(b'by HTTP', 'HTTP', 'jspi')" in shown
        assert "(b'by HTTP', 'HTTP', 'xhr')" in shown
        assert console.run("pynet_browser.uninstall()") == ""


def test_nothing_leaves_this_machine(console):
    assert_nothing_left_this_machine(console)


def test_on_a_static_host_a_plain_import_finds_the_package(browser, jupyterlite, start_proxy, echo_server):
    with StaticHost(jupyterlite) as host:
        proxy = start_proxy("--origin", host.url)
        with closing(Console(browser, f"{host.url}/")) as console:
            shown = console.run(
                "import socket, pynet_browser\n"
                f"await pynet_browser.install('{proxy.url}/?token={proxy.token}')\n"
                f"with socket.create_connection({echo_server.address}) as connection:\n"
                "    connection.sendall(b'from a static host')\n"
                "    print(connection.recv(100))"
            )
            assert "b'from a static host'" in shown
            assert_nothing_left_this_machine(console)
