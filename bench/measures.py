"""What is measured, in which units, and what we aim at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

MIB = 1 << 20


@dataclass(frozen=True)
class Load:
    """How much one measurement moves.

    Attributes:
        size: Bytes of a bulk transfer.
        pings: Round trips.
        connects: Connections, one after another.
        bursts: How often a burst is repeated; the median counts.
        crowd: Sockets at once.
    """

    size: int
    pings: int
    connects: int
    bursts: int
    crowd: int

    def __str__(self) -> str:
        return (
            f"{self.size / 1e6:.0f} MB each way, {self.pings} round trips, {self.connects} connections, "
            f"{self.bursts} bursts, {self.crowd} sockets at once"
        )


FULL = Load(size=128_000_000, pings=500, connects=100, bursts=5, crowd=200)
QUICK = Load(size=32_000_000, pings=200, connects=40, bursts=3, crowd=50)
WARM_UP = Load(size=8_000_000, pings=100, connects=10, bursts=2, crowd=10)

BURST = 1000


@dataclass(frozen=True)
class Figure:
    """One line of the results.

    Attributes:
        name: Short, for files.
        title: For people.
        unit: What its numbers are.
        better: Which way is good.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]


RECEIVE = Figure("receive", "bulk receive, recv(65536)", "MB/s", "higher")
FILL = Figure("fill", "bulk receive, recv_into(1 MiB)", "MB/s", "higher")
SEND = Figure("send", "bulk send, sendall(1 MiB)", "MB/s", "higher")
PING = Figure("ping", "round trip of 32 bytes", "ms", "lower")
CONNECT = Figure("connect", "connect + first byte", "ms", "lower")
BURSTS = Figure("burst", f"{BURST} small sends until the last echo", "messages/s", "higher")
CROWDED = Figure("crowd", "many sockets open at once", "ms", "lower")
CPU_DOWN = Figure("cpu_down", "processor time of the proxy, down", "s/GB", "lower")
CPU_UP = Figure("cpu_up", "processor time of the proxy, up", "s/GB", "lower")
WHEEL = Figure("wheel", "micropip.install(the wheel)", "ms", "lower")
START = Figure("start", "import + install, Pyodide being up", "ms", "lower")

FIGURES = [RECEIVE, FILL, SEND, PING, CONNECT, BURSTS, CROWDED, CPU_DOWN, CPU_UP, WHEEL, START]


@dataclass(frozen=True)
class Measure:
    """How a figure comes about.

    Attributes:
        figure: What it yields.
        service: The target's service it talks to.
        options: What the function of this name is given, besides an address.
        value: The figure, from the seconds it took.
        times: How often it is done for one sample, which is the median.
        cpu: The figure for processor time per byte it yields, too.
    """

    figure: Figure
    service: str
    options: Callable[[Load], dict[str, Any]]
    value: Callable[[float, Load], float]
    times: Callable[[Load], int] = lambda _: 1
    cpu: Figure | None = None


def megabytes_per_second(seconds: float, load: Load) -> float:
    return load.size / seconds / 1e6


def milliseconds(seconds: float, _: Load) -> float:
    return seconds * 1000


MEASURES = [
    Measure(
        RECEIVE,
        "source",
        lambda load: {"size": load.size, "piece": 65536},
        megabytes_per_second,
        cpu=CPU_DOWN,
    ),
    Measure(FILL, "source", lambda load: {"size": load.size, "buffer": MIB}, megabytes_per_second),
    Measure(SEND, "sink", lambda load: {"size": load.size, "piece": MIB}, megabytes_per_second, cpu=CPU_UP),
    Measure(PING, "echo", lambda load: {"count": load.pings}, milliseconds),
    Measure(CONNECT, "greeter", lambda load: {"count": load.connects}, milliseconds),
    Measure(
        BURSTS,
        "echo",
        lambda _: {"count": BURST},
        lambda seconds, _: BURST / seconds,
        times=lambda load: load.bursts,
    ),
    Measure(CROWDED, "echo", lambda load: {"count": load.crowd}, milliseconds),
]


@dataclass(frozen=True)
class Target:
    """What we aim at.

    Attributes:
        figure: Of ours.
        peer: Against whose; None: the figure itself counts.
        limit: What the ratio, or the figure, is to reach, or not to exceed.
        against: The peer's figure, where it is another than ours.
    """

    figure: Figure
    peer: str | None
    limit: float
    against: Figure | None = None

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.figure.better == "higher"

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


TARGETS = [
    Target(RECEIVE, "bridge", 0.95),
    Target(FILL, "bridge", 0.95, against=RECEIVE),
    Target(SEND, "bridge", 0.95),
    Target(PING, "bridge", 1.15),
    Target(CONNECT, "websockify", 0.5),
    Target(BURSTS, "bridge", 3.0),
    Target(CPU_DOWN, "websockify", 0.8),
    Target(CPU_UP, "websockify", 0.8),
    Target(START, None, 300.0),
]
