"""How much memory a connection takes, in a page and a proxy of its own, where nothing was freed before."""

from __future__ import annotations

from bench.peers import POSIX, open_our_sockets
from bench.processes import Proxy, Services
from tests.driven import DrivenBrowser
from tests.page_python import PagePython

FIRST = 16
"""Streams that are open before anything is counted: what is loaded only once is there then."""

HOLD = """
import gc, tracemalloc
from importlib import import_module
if not tracemalloc.is_tracing():
    tracemalloc.start()
await import_module(module).hold(tuple(address), count)
gc.collect()
tracemalloc.get_traced_memory()[0]
"""


def memory_of_streams(browser: DrivenBrowser, services: Services, wheel: str, count: int) -> dict[str, float]:
    """Bytes for each of ``count`` asyncio streams that are open and have echoed one message.

    Returns:
        ``js_memory`` of the page's heap, ``python_memory`` as tracemalloc counts it, and, where the system
        tells, ``proxy_memory``: what the proxy's process has grown by.
    """
    with Proxy() as proxy:
        python, _ = open_our_sockets(browser, proxy, wheel)
        try:
            before = used(python, proxy, services, FIRST)
            after = used(python, proxy, services, count)
        finally:
            python.close()
    return {name: (after[name] - before[name]) / count for name in before}


def used(python: PagePython, proxy: Proxy, services: Services, count: int) -> dict[str, int]:
    """Bytes in use with so many streams more."""
    address = [services.host, services.ports["echo"]]
    traced: int = python.run(HOLD, timeout=60, module=POSIX, address=address, count=count)
    python.devtools("HeapProfiler.collectGarbage")
    heap = python.devtools("Runtime.getHeapUsage")
    found = {"js_memory": heap["usedSize"], "python_memory": traced}
    resident = proxy.resident()
    return found if resident is None else found | {"proxy_memory": resident}
