"""What datagrams take over WebRTC and over the session: ``python -m bench.udp``, both in one run.

Round trips of 32 bytes, from Python in Chromium to an echo on this machine: over the data channel and the
WebSocket, on a line that is clean and on one that loses packets. A relay loses those of UDP. For TCP a relay
holds up both ways for as long as Linux would take to send one again: 200 ms, its TCP_RTO_MIN. A fast
retransmission is rare where so few packets follow.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.browser.conftest import make
from tests.driven import DrivenBrowser
from tests.page_python import PagePython
from tests.peers import DatagramEcho
from tests.relay import Relay
from tests.servers import ROOT, ProxyProcess
from tests.servers.process import free_port
from tests.udp_relay import UdpRelay

ROUNDS = 400
PAUSE = 0.01
LOSS = 0.02
RTO = 0.2

PROGRAM = """
import asyncio, pynet_browser, time
class Pings(asyncio.DatagramProtocol):
    def __init__(self):
        self.sent, self.took = {}, []
    def datagram_received(self, data, address):
        self.took.append((time.perf_counter() - self.sent[data]) * 1000)
loop = asyncio.get_running_loop()
transport, pings = await loop.create_datagram_endpoint(Pings, remote_addr=tuple(echo))
for attempt in range(100):
    if pynet_browser.status().udp == wanted:
        break
    pings.sent[bytes(32)] = time.perf_counter()
    transport.sendto(bytes(32))
    await asyncio.sleep(0.05)
await asyncio.sleep(0.3)
pings.took.clear()
for number in range(rounds):
    data = number.to_bytes(32)
    pings.sent[data] = time.perf_counter()
    transport.sendto(data)
    await asyncio.sleep(pause)
await asyncio.sleep(1)
transport.close()
[pynet_browser.status().udp, sorted(pings.took)]
"""


class Lossy:
    """Holds up a TCP relay now and then, as a lost packet does."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(1)
        # Two packets for each round trip, of which each may be lost.
        while not self._over.wait(chance.expovariate(2 * LOSS / PAUSE)):
            self._relay.freeze()
            time.sleep(RTO)
            self._relay.thaw()


def cpu(proxy: ProxyProcess) -> float:
    """Seconds of processor time that it has used."""
    assert proxy._process
    fields = Path(f"/proc/{proxy._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    make("wheel")
    [wheel] = (ROOT / "dist").glob("pynet_browser-*.whl")
    with ExitStack() as stack:
        port = free_port()
        told = ("--webrtc-ports", str(port), "--webrtc-address", "127.0.0.2", "--origin", "*")
        proxy = stack.enter_context(ProxyProcess(*told))
        echo = stack.enter_context(DatagramEcho())
        packets = stack.enter_context(UdpRelay(("127.0.0.1", port), "127.0.0.2", port))
        bytes_ = stack.enter_context(Relay((proxy.host, proxy.port)))
        browser = stack.enter_context(DrivenBrowser("Chromium"))
        page = PagePython(browser, f"{proxy.url}/healthz")
        stack.callback(page.close)
        page.run("import micropip; await micropip.install(wheel)", wheel=f"{proxy.url}/dist/{wheel.name}")
        print(f"{browser.version}, {sys.platform}: {ROUNDS} round trips of 32 bytes")
        print(f"{'over':8} {'lost':>5} {'arrived':>8} {'p50 ms':>7} {'p99 ms':>7} {'proxy CPU, ms each':>26}")
        for udp, wanted in (("stream", "session"), ("webrtc", "webrtc")):
            page.run(
                "import pynet_browser; await pynet_browser.install(url, token=token, udp=udp); None",
                url=f"ws://127.0.0.1:{bytes_.port}/pynet",
                token=proxy.token,
                udp=udp,
            )
            for loss in (0.0, LOSS):
                packets.loss = loss
                with Lossy(bytes_) if loss else ExitStack():
                    before = cpu(proxy)
                    used, took = page.run(
                        PROGRAM, echo=echo.address, wanted=wanted, rounds=ROUNDS, pause=PAUSE, timeout=60
                    )
                    spent = (cpu(proxy) - before) * 1000 / ROUNDS
                assert used == wanted
                p99 = took[int(len(took) * 0.99)]
                print(
                    f"{used:8} {loss:5.0%} {len(took) / ROUNDS:8.1%} {statistics.median(took):7.1f} "
                    f"{p99:7.1f} {spent:26.2f}"
                )


if __name__ == "__main__":
    main()
