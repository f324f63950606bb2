"""How long a session takes to go on after a cut, in round trips of a network that is far away."""

from __future__ import annotations

import socket
import statistics
import time

from bench.processes import Proxy
from tests.driven import DrivenBrowser
from tests.page_python import PagePython
from tests.relay import Relay

LATENCY = 0.05
"""Seconds in each direction: what the two ends compute counts for little beside it."""

CUTS = 7

# The pause before the first attempt is a matter of chance, and is not to be counted.
NO_PAUSE = "() => { Math.random = () => 0; }"

READ = """
import micropip, socket
await micropip.install(wheel)
import pynet_browser
await pynet_browser.install(url, token=token)
with socket.create_connection(tuple(address)) as connection:
    for _ in range(cuts + 1):
        tell("reading")
        assert connection.recv(1) == b"x"
        tell("read")
"""


def resuming(browser: DrivenBrowser, proxy: Proxy, wheel: str) -> float:
    """Round trips from a cut until the program has the byte that its peer has sent meanwhile: the median.

    A TCP connection to the relay costs none of them, as it would in a network.
    """
    times: list[float] = []
    with (
        Relay((proxy.host, proxy.port), latency=LATENCY) as relay,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        python = PagePython(browser, f"http://{relay.host}:{relay.port}/healthz", own=True)
        python.evaluate(NO_PAUSE)
        peers: list[socket.socket] = []
        begun = 0.0

        def told(word: object) -> None:
            nonlocal begun
            if word == "read":
                times.append(time.monotonic() - begun)
                return
            if not peers:
                peers.append(server.accept()[0])
            begun = time.monotonic()
            relay.cut()
            peers[0].sendall(b"x")

        python.run(
            READ,
            timeout=60,
            tell=told,
            wheel=f"http://{relay.host}:{relay.port}/dist/{wheel}",
            url=f"ws://{relay.host}:{relay.port}/pynet",
            token=proxy.token,
            address=list(server.getsockname()),
            cuts=CUTS,
        )
        python.close()
        peers[0].close()
    return statistics.median(times[1:]) / (2 * LATENCY)
