"""Two proxies behind a real HAProxy, with the configuration that docs/operations.md explains."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

import pytest

from tests.machine import find_haproxy
from tests.peers import pattern
from tests.proxy.client import Page
from tests.proxy.running import until
from tests.servers import HAProxy, ProxyProcess, ServerProcess

pytestmark = pytest.mark.skipif(
    find_haproxy() is None, reason="HAProxy is not installed: run `python tests/machine.py haproxy`"
)

SIZE = 1 << 20


@pytest.fixture
def proxies(proxy, tmp_path):
    """Two with one token, which wait long for their pages when they are told to stop."""
    config = tmp_path / "proxy.toml"
    config.write_text("drain = 60.0\n")
    arguments = ["--origin", proxy.url, "--no-demo", "--config", str(config)]
    with ProxyProcess(*arguments) as one, ProxyProcess(*arguments, f"--token={one.token}") as two:
        yield one, two
        one.kill()
        two.kill()


@pytest.fixture
def balancer(proxies):
    one, two = proxies
    with HAProxy(one.address, two.address) as haproxy:
        wait_until(lambda: haproxy.tell("show stat").count(",UP,") >= 2)
        yield haproxy


@pytest.fixture(scope="module")
def page(open_python):
    return open_python(install=False)


def wait_until(condition):
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def behind(balancer: ServerProcess, token: str, key: str = "") -> Page:
    """A page that is no browser's, with a key of its own."""
    return Page(f"ws://{balancer.host}:{balancer.port}/pynet?affinity={key or secrets.token_hex(8)}", token)


async def echoed(page: Page, address: tuple[str, int], cuts: int = 0) -> bool:
    """Whether what is sent to an echo comes back as it was, though the connection breaks meanwhile."""
    socket = page.connect(*address)
    data = pattern(SIZE)

    async def send():
        await socket.send(data)
        socket.shutdown()

    transfer = asyncio.gather(send(), socket.read())
    for _ in range(cuts):
        await asyncio.sleep(0.01)
        page.cut()
        await page.lost()
        await page.open()
    return (await transfer)[1] == data


@contextlib.asynccontextmanager
async def several(count: int, balancer: ServerProcess, token: str):
    async with contextlib.AsyncExitStack() as stack:
        yield {
            key: await stack.enter_async_context(behind(balancer, token, key))
            for key in (secrets.token_hex(8) for _ in range(count))
        }


async def test_sessions_spread_and_each_comes_back_to_its_proxy(proxies, balancer, echo_server):
    async with several(10, balancer, proxies[0].token) as pages:
        placed = balancer.placed()
        names = [placed[key] for key in pages]
        assert sorted(names) == ["one"] * 5 + ["two"] * 5
        whole = await asyncio.gather(*(echoed(page, echo_server.address, cuts=2) for page in pages.values()))
        assert all(whole)
        assert {key: balancer.placed()[key] for key in pages} == {key: placed[key] for key in pages}


async def test_one_is_drained_and_sessions_of_the_other_notice_nothing(proxies, balancer, echo_server):
    one, _ = proxies
    async with several(6, balancer, one.token) as pages:
        placed = balancer.placed()
        at = {name: [page for key, page in pages.items() if placed[key] == name] for name in ("one", "two")}
        assert len(at["one"]) == len(at["two"]) == 3
        idle = at["one"][0].connect(*echo_server.address)
        await idle.connected()
        balancer.tell("set server proxies/one state drain")
        one.tell_to_stop()
        traffic = asyncio.gather(*(echoed(page, echo_server.address, cuts=3) for page in at["two"]))
        for page in at["one"]:
            await asyncio.wait_for(page.draining.wait(), 5)
        at["one"][1].cut()
        await at["one"][1].lost()
        await at["one"][1].open()  # it may come back until the proxy has stopped
        async with several(4, balancer, one.token) as new:
            assert {balancer.placed()[key] for key in new} == {"two"}
            assert await echoed(next(iter(new.values())), echo_server.address)
        one.tell_to_stop()  # twice: now
        assert await asyncio.to_thread(one.status, 10) == 0
        for page in at["one"]:
            await page.lost()
            assert page.over is not None
            assert (page.over.code, page.over.message) == ("shutdown", "the proxy was stopped")
        assert all(await traffic)
        assert all(page.over is None for page in at["two"])
        assert all(await asyncio.gather(*(echoed(page, echo_server.address) for page in at["two"])))


INSTALL = """
import pynet_browser
await pynet_browser.install(url, token=token, blocking="xhr")
import socket, builtins
builtins.kept = socket.create_connection((host, port), 30)
kept.sendall(b"first")
kept.recv(5, socket.MSG_WAITALL).decode()
"""

AGAIN = """
import asyncio, socket, pynet_browser
async with asyncio.timeout(15):
    while not pynet_browser.status().reconnects:
        await asyncio.sleep(0.02)
kept.sendall(b"again")
answer = kept.recv(5, socket.MSG_WAITALL).decode()
kept.close()
answer
"""


def test_a_browser_s_carriers_are_at_one_proxy_also_after_a_cut(page, proxies, balancer, echo_server):
    one, _ = proxies
    url = f"ws://{balancer.host}:{balancer.port}/pynet"
    before = balancer.placed()
    where = {"url": url, "token": one.token, "host": echo_server.host, "port": echo_server.port}
    assert page.run(INSTALL, **where) == "first"
    [(key, name)] = balancer.placed().items() - before.items()
    sessions = [
        line.split(":")[0] for line in balancer.tell("show sess").splitlines() if "be=proxies" in line
    ]
    assert sessions
    for session in sessions:
        balancer.tell(f"shutdown session {session}")
    assert page.run(AGAIN) == "again"
    assert balancer.placed()[key] == name
    log = balancer.log()
    assert "GET /pynet " in log
    assert "POST /pynet/http " in log
    assert {line.split()[-3] for line in log.splitlines() if "/pynet" in line} == {name}
    assert key not in log
    page.run("import pynet_browser; pynet_browser.uninstall()")


KNOCK = """
import asyncio, builtins, pynet_browser
builtins.opening = asyncio.ensure_future(pynet_browser.install(url, token=token))
await asyncio.sleep(0)
"""

LET_IN = """
import pynet_browser
await opening
pynet_browser.status().state
"""


async def test_who_meets_a_proxy_that_stops_is_let_in_by_the_other(page, proxies, balancer, echo_server):
    one, _ = proxies
    url = f"ws://{balancer.host}:{balancer.port}/pynet"
    async with several(2, balancer, one.token) as pages, contextlib.AsyncExitStack() as more:
        at = {balancer.placed()[key]: key for key in pages}
        for _ in range(2):  # whoever comes next goes to the one that has fewer
            await more.enter_async_context(behind(balancer, one.token, at["two"]))
        # It knocks for longest: HAProxy takes up to a second to notice that a proxy is not healthy.
        page.evaluate("() => { Math.random = () => 0.99; }")
        busy = pages[at["one"]]
        await busy.connect(*echo_server.address).connected()  # an idle proxy would stop at once
        balancer.tell("disable health proxies/one")  # until it was met
        one.tell_to_stop()
        await busy.draining.wait()
        page.run(KNOCK, url=url, token=one.token)
        await until(lambda: "GET /pynet 101 one" in balancer.log())
        balancer.tell("enable health proxies/one")
        assert page.run(LET_IN) == "attached"
        page.run("import pynet_browser; pynet_browser.uninstall()")
