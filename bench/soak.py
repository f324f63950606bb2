"""Everything at once against one proxy, for long: ``python bench/soak.py --minutes 10``.

Two pages of a browser (one behind a relay that cuts its connections, one that waits by synchronous requests),
clients in Python, clients that others wrote, and hostile ones. What comes back is compared; the memory of
proxy and pages is sampled, and must be as much in the last third as in the first. The exit status is 1 if
anything failed or grew.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

from bench.foreign_clients import Posix
from bench.peers import carry_measures
from bench.processes import PROC, MeasuredProcess, Services, allow_descriptors
from bench.soak_tables import FIGURES, Series, draw, grown, growth_rows
from bench.stage import wheel_name
from bench.surroundings import machine_and_versions
from bench.tables import table
from bench.tunnels import OursTunnel, Tunnel, WebsockifyTunnel, WispTunnel, exactly, ours_url
from tests.driven import DrivenBrowser
from tests.fuzz.mutator import mutated
from tests.page_python import PageError, PagePython, PageTimeoutError
from tests.peers import pattern
from tests.proxy.tormentors import FOREIGN, conversation, torment, torment_as, torment_by_http, torment_relay
from tests.relay import Relay
from tests.servers import ROOT, ProxyProcess, ServerError

SAMPLE = 5.0
CUT_AFTER = (4.0, 12.0)
BLOCKING_SECONDS = 1.0
STRANGER_PAUSE = 0.25
POSIX_CALLS = 20
MIB = 1 << 20
CONSOLE = 20
"""Lines of a page's console that are told when it is gone."""


class SoakedProxy(MeasuredProcess, ProxyProcess):
    """Our proxy; mutated addresses lead to this machine alone."""

    def __init__(self) -> None:
        super().__init__("--config", "soak.toml", "--listen", "10000-65535")

    def prepare(self) -> None:
        (self.directory / "soak.toml").write_text(
            'allow = ["127.0.0.0/8:*", "[::1]:*", "localhost:*"]\ndeny = ["*:*"]\n'
            'origins = ["*"]\ngrace = 10.0\n'
            "[limits]\nconnects_per_second = 10000\nconnect_burst = 10000\n"
        )

    def descriptors(self) -> int:
        return len(list((PROC / str(self.pid) / "fd").iterdir()))


class Soak:
    """One run."""

    def __init__(self, proxy: SoakedProxy, ports: dict[str, int], relay: Relay, seconds: float) -> None:
        self._proxy = proxy
        self._ports = ports
        self._relay = relay
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._page_failures: list[str] = []
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.series: Series = {name: [] for name in ("time", *(figure.name for figure in FIGURES))}

    @property
    def running(self) -> bool:
        return time.monotonic() < self._deadline

    async def run(self, open_page: PagePython, http_page: PagePython) -> None:
        base = f"ws://{self._proxy.host}:{self._proxy.port}"
        token, echo = self._proxy.token, self._ports["echo"]
        ours = ours_url(self._proxy.ws_url, token)
        works: dict[str, Callable[[random.Random], Awaitable[Any]]] = {
            "python client": lambda chance: self._talk(OursTunnel(ours, echo), chance),
            "wisp": lambda chance: self._talk(WispTunnel(f"{base}/wisp/{token}/", echo), chance),
            "websockify": lambda chance: self._talk(
                WebsockifyTunnel(f"{base}/websockify/127.0.0.1/PORT?token={token}", echo), chance
            ),
            "posix": lambda _: asyncio.to_thread(self._call),
            "cut": self._cut,
        }
        messages = conversation(echo)
        async with aiohttp.ClientSession() as client:
            url = f"{self._proxy.url}/pynet"
            works |= {
                "hostile": lambda chance: torment(self._proxy.ws_url, token, messages, chance),
                "hostile by HTTP": lambda chance: torment_by_http(
                    client, f"{url}/http", token, messages, chance
                ),
                "hostile relay": lambda chance: torment_relay(client, f"{url}/fetch", token, echo, chance),
            }
            for kind in FOREIGN:
                works[f"hostile {kind}"] = functools.partial(torment_as, kind, base, token, echo)
            tasks = [asyncio.create_task(self._repeat(name, work)) for name, work in works.items()]
            await asyncio.to_thread(self._watch, open_page, http_page)
            await asyncio.gather(*tasks)

    async def _repeat(self, name: str, work: Callable[[random.Random], Awaitable[Any]]) -> None:
        chance = random.Random(name)
        while self.running:
            try:
                async with asyncio.timeout(60):
                    await work(chance)
                self.done[name] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
            await asyncio.sleep(chance.random() * STRANGER_PAUSE * 2)

    async def _talk(self, tunnel: Tunnel, chance: random.Random) -> None:
        await tunnel.open()
        try:
            stream = await tunnel.connect(self._ports["echo"])
            for _ in range(5):
                data = mutated(pattern(chance.randrange(1, 40_000)), chance) or b"?"
                sending = asyncio.create_task(stream.send(data))
                if await exactly(stream, len(data)) != data:
                    raise AssertionError("other bytes have come back than were sent")
                await sending
            stream.close()
        finally:
            await tunnel.close()

    def _call(self) -> None:
        client = Posix((self._proxy.host, self._proxy.port), f"/posix?token={self._proxy.token}")
        with client.socket:
            fd = client.connected(self._ports["echo"])
            for number in range(POSIX_CALLS):
                size = 1 + number * 50
                assert client.send(fd, bytes(size)) == size
                left = size
                while left:
                    left -= client.recv(fd, left)

    async def _cut(self, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(*CUT_AFTER))
        await asyncio.to_thread(self._relay.cut, gently=chance.random() < 0.5)

    # ── In a thread of its own, since whoever drives the browser waits for it ──────────────────────────

    def _watch(self, page: PagePython, http_page: PagePython) -> None:
        began = time.monotonic()
        host = "127.0.0.1"
        page.run("import bench.soak_page as s; s.begin(host, ports)", host=host, ports=self._ports)
        try:
            while self.running:
                due = time.monotonic() + SAMPLE
                self._blocking(http_page, host)
                self._sample(page, http_page, time.monotonic() - began)
                time.sleep(max(0.0, due - time.monotonic()))
            page.run("import bench.soak_page as s; await s.end()", timeout=120)
            self._sample(page, http_page, time.monotonic() - began)
        except (PageError, PageTimeoutError) as error:
            last = "\n".join([*page.console[-CONSOLE:], *page.page_errors[-CONSOLE:]])
            self.failures.append(f"page, after {time.monotonic() - began:.0f} s: {error}\n{last}")
            self._deadline = time.monotonic()

    def _blocking(self, page: PagePython, host: str) -> None:
        source = "import bench.soak_page as s; s.blocking_round(host, ports, seconds)"
        try:
            found = page.run(source, timeout=90, host=host, ports=self._ports, seconds=BLOCKING_SECONDS)
        except PageError as error:
            self.failures.append(f"blocking page: {error.type}: {error.message}")
        else:
            self.done["page: blocking"] += found["done"]["blocking"]

    def _sample(self, page: PagePython, http_page: PagePython, now: float) -> None:
        found = page.run("import bench.soak_page as s; s.told()", timeout=60)
        self.failures += [f"page: {failure}" for failure in found["failures"]]
        for name, count in found["done"].items():
            self.done[f"page: {name}"] = count
        sample = {
            "time": now,
            "proxy": self._proxy.memory() / MIB,
            "descriptors": self._proxy.descriptors(),
            "heap": heap_of(page),
            "wasm": wasm_of(page),
            "objects": found["objects"],
            "http_heap": heap_of(http_page),
            "http_wasm": wasm_of(http_page),
        }
        for name, value in sample.items():
            self.series[name].append(value)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in sample.items() if name != "time")
        print(f"{now:4.0f} s of {self._seconds:.0f}: {shown}; {len(self.failures)} failures", flush=True)


def heap_of(page: PagePython) -> float:
    page.devtools("HeapProfiler.collectGarbage")
    used: int = page.devtools("Runtime.getHeapUsage")["usedSize"]
    return used / MIB


def wasm_of(page: PagePython) -> float:
    size: int = page.evaluate("() => pyodide._module.HEAP8.length")
    return size / MIB


def open_page(
    browser: DrivenBrowser, proxy: ProxyProcess, url: str, where: tuple[str, int], blocking: str
) -> PagePython:
    """A page of the proxy's, with our sockets; its session goes to ``where``."""
    page = PagePython(browser, f"{proxy.url}/healthz", own=True)
    carry_measures(page)
    source = (ROOT / "bench" / "soak_page.py").read_text()
    page.run("from pathlib import Path; Path('bench/soak_page.py').write_text(text)", text=source)
    page.run(
        """
        import micropip
        await micropip.install(wheel)
        import pynet_browser
        await pynet_browser.install(url, token=token, blocking=blocking)
        """,
        timeout=90,
        wheel=f"{proxy.url}/dist/{wheel_name()}",
        url=url.format(*where),
        token=proxy.token,
        blocking=blocking,
    )
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything at once against one proxy, for long.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="directory for results")
    options = parser.parse_args()
    allow_descriptors()
    try:
        with ExitStack() as stack:
            services = stack.enter_context(Services())
            proxy = stack.enter_context(SoakedProxy())
            relay = stack.enter_context(Relay((proxy.host, proxy.port)))
            browser = stack.enter_context(DrivenBrowser("Chromium"))
            url = "ws://{}:{}/pynet"
            page = open_page(browser, proxy, url, relay.address, "auto")
            http_page = open_page(browser, proxy, url, (proxy.host, proxy.port), "xhr")
            soak = Soak(proxy, services.ports, relay, options.minutes * 60)
            asyncio.run(soak.run(page, http_page))
            said = [*page.page_errors, *http_page.page_errors, *complaints(proxy)]
            cuts, versions = relay.cuts, {"Chromium": browser.version}
    except ServerError as error:
        sys.exit(str(error))
    text = report(soak, said, machine_and_versions() | versions | {"connections cut": str(cuts)})
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "soak.md").write_text(text)
    (options.output / "soak.svg").write_text(draw(soak.series))
    (options.output / "soak.json").write_text(json.dumps(soak.series))
    print(f"\n{text}\n{options.output / 'soak.svg'} shows how the figures went.")
    flat = not any(grown(figure, soak.series[figure.name]) for figure in FIGURES)
    sys.exit(0 if flat and not (soak.failures or said) else 1)


def complaints(proxy: SoakedProxy) -> list[str]:
    """What the proxy has warned of: nobody did anything that it should."""
    return [line for line in proxy.log().splitlines() if "WARNING" in line or "ERROR" in line]


def report(soak: Soak, said: list[str], surroundings: dict[str, str]) -> str:
    parts = [
        growth_rows(soak.series),
        table(["done", "times"], [[name, f"{count:,}"] for name, count in sorted(soak.done.items())]),
        f"{len(soak.failures)} failures, {len(said)} complaints.",
        "\n".join([*soak.failures[:50], *said[:50]]),
        table(["", ""], [[name, value] for name, value in surroundings.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    main()
