"""What is measured, in which units, and what we aim at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
        datagrams: Datagrams of a flood.
        visits: Connections, some at once.
        streams: asyncio's connections at once.
        requests: HTTP requests, one after another.
    """

    size: int
    pings: int
    connects: int
    bursts: int
    crowd: int
    datagrams: int
    visits: int
    streams: int
    requests: int

    def __str__(self) -> str:
        return (
            f"{self.size / 1e6:.0f} MB each way, {self.pings} round trips, {self.connects} connections, "
            f"{self.bursts} bursts, {self.crowd} sockets at once, {self.datagrams} datagrams, "
            f"{self.visits} visits, {self.streams} asyncio streams, {self.requests} HTTP requests"
        )


FULL = Load(
    size=64_000_000,
    pings=500,
    connects=100,
    bursts=5,
    crowd=200,
    datagrams=2000,
    visits=480,
    streams=1000,
    requests=200,
)
QUICK = Load(
    size=32_000_000,
    pings=200,
    connects=40,
    bursts=3,
    crowd=50,
    datagrams=1000,
    visits=160,
    streams=300,
    requests=100,
)
WARM_UP = Load(
    size=8_000_000,
    pings=100,
    connects=10,
    bursts=2,
    crowd=10,
    datagrams=500,
    visits=32,
    streams=10,
    requests=20,
)

BURST = 1000

AT_ONCE = 16

DOWNLOADS_AT_ONCE = 20

FEW = 10
"""Sockets that many are compared with."""

DATAGRAM = 200
"""Bytes of data in one datagram of a flood."""

SMALL = 1000
"""Bytes of a small answer."""

LARGE = 50_000_000
"""Bytes of a large one."""

LARGE_TIMES = 5
"""How often it is asked for."""

MESSAGES = 10_000
"""Messages of a WebSocket or a data channel, there and back."""

CHANNEL_BYTES = 20_000_000
"""Bytes of a bulk transfer by a data channel."""

UNDER_WAY = 100
"""Datagrams of a flood that are on their way at once: they fit into every receive buffer."""


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
DATAGRAM_PING = Figure("datagram_ping", "round trip of 32 bytes by UDP", "ms", "lower")
FLOOD = Figure("flood", f"{DATAGRAM} bytes and back, {UNDER_WAY} under way", "messages/s", "higher")
LOST = Figure("lost", "datagrams lost of these", "%", "lower")
ACCEPT = Figure("accept", f"accepted, {AT_ONCE} at once, 1 byte each way", "connections/s", "higher")
DIAL = Figure("dial", f"connected, {AT_ONCE} at once, 8 bytes each way", "connections/s", "higher")
STREAMS = Figure("streams", "many asyncio streams, a message there and back", "ms", "lower")
ASYNCIO_PING = Figure("asyncio_ping", "round trip of 32 bytes by asyncio", "ms", "lower")
DOWNLOADS = Figure("downloads", f"{DOWNLOADS_AT_ONCE} downloads at once, together", "MB/s", "higher")
WORST = Figure("worst", "the slowest of these downloads against the mean", "×", "lower")
POLL = Figure("poll", "poll() of many sockets, one being ready", "ms", "lower")
POLL_FEW = Figure("poll_few", f"poll() of {FEW} sockets, one being ready", "ms", "lower")
JS_MEMORY = Figure("js_memory", "JavaScript's memory for an asyncio stream", "kB", "lower")
PYTHON_MEMORY = Figure("python_memory", "Python's memory for an asyncio stream", "kB", "lower")
PROXY_MEMORY = Figure("proxy_memory", "the proxy's memory for a connection", "kB", "lower")
RESUMING = Figure("resuming", "from a cut until the first byte after it", "round trips", "lower")
CPU_DOWN = Figure("cpu_down", "processor time of the proxy, down", "s/GB", "lower")
CPU_UP = Figure("cpu_up", "processor time of the proxy, up", "s/GB", "lower")
FETCH = Figure("fetch_small", "JavaScript's fetch of 1 kB", "ms", "lower")
URLOPEN = Figure("urlopen_small", "urlopen of 1 kB", "ms", "lower")
REQUESTS = Figure("requests_small", "requests.get of 1 kB", "ms", "lower")
FETCH_LARGE = Figure("fetch_large", "JavaScript's fetch of 50 MB", "ms", "lower")
URLOPEN_LARGE = Figure("urlopen_large", "urlopen of 50 MB", "ms", "lower")
REQUESTS_LARGE = Figure("requests_large", "requests.get of 50 MB", "ms", "lower")
MESSAGED = Figure(
    "messages", "messages of 32 bytes by a WebSocket, until the last echo", "messages/s", "higher"
)
MESSAGED_SYNC = Figure("messages_sync", "the same by the blocking connect()", "messages/s", "higher")
CHANNEL_MESSAGES = Figure(
    "channel_messages", "messages of 32 bytes by a data channel, until the last echo", "messages/s", "higher"
)
CHANNEL_SEND = Figure("channel_send", "bulk send by a data channel", "MB/s", "higher")
CHANNEL_RECEIVE = Figure("channel_receive", "bulk receive by a data channel", "MB/s", "higher")
WHEEL = Figure("wheel", "micropip.install(the wheel)", "ms", "lower")
START = Figure("start", "import + install, Pyodide being up", "ms", "lower")

FIGURES = [
    RECEIVE,
    FILL,
    SEND,
    PING,
    ASYNCIO_PING,
    CONNECT,
    BURSTS,
    DOWNLOADS,
    WORST,
    CROWDED,
    POLL,
    POLL_FEW,
    DATAGRAM_PING,
    FLOOD,
    LOST,
    ACCEPT,
    DIAL,
    STREAMS,
    JS_MEMORY,
    PYTHON_MEMORY,
    PROXY_MEMORY,
    RESUMING,
    FETCH,
    URLOPEN,
    REQUESTS,
    FETCH_LARGE,
    URLOPEN_LARGE,
    REQUESTS_LARGE,
    MESSAGED,
    MESSAGED_SYNC,
    CHANNEL_MESSAGES,
    CHANNEL_SEND,
    CHANNEL_RECEIVE,
    CPU_DOWN,
    CPU_UP,
    WHEEL,
    START,
]

MEMORY = [JS_MEMORY, PYTHON_MEMORY, PROXY_MEMORY]


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
        also: Figures it yields beside the time, by the names that the function gives them.
    """

    figure: Figure
    service: str
    options: Callable[[Load], dict[str, Any]]
    value: Callable[[float, Load], float]
    times: Callable[[Load], int] = lambda _: 1
    cpu: Figure | None = None
    also: Mapping[str, Figure] = field(default_factory=dict)


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
    Measure(ASYNCIO_PING, "echo", lambda load: {"count": load.pings}, milliseconds),
    Measure(CONNECT, "greeter", lambda load: {"count": load.connects}, milliseconds),
    Measure(
        BURSTS,
        "echo",
        lambda _: {"count": BURST},
        lambda seconds, _: BURST / seconds,
        times=lambda load: load.bursts,
    ),
    Measure(
        DOWNLOADS,
        "source",
        lambda load: {"size": load.size, "count": DOWNLOADS_AT_ONCE},
        megabytes_per_second,
        also={"worst": WORST},
    ),
    Measure(
        POLL,
        "echo",
        lambda load: {"count": load.streams, "few": FEW},
        milliseconds,
        also={"few": POLL_FEW},
    ),
    Measure(CROWDED, "echo", lambda load: {"count": load.crowd}, milliseconds),
    Measure(DATAGRAM_PING, "echo", lambda load: {"count": load.pings}, milliseconds),
    Measure(
        FLOOD,
        "echo",
        lambda load: {"count": load.datagrams, "size": DATAGRAM, "under_way": UNDER_WAY},
        lambda seconds, load: load.datagrams / seconds,
        also={"lost": LOST},
    ),
    Measure(
        ACCEPT,
        "visitors",
        lambda load: {"count": load.visits, "at_once": AT_ONCE},
        lambda seconds, load: load.visits / seconds,
    ),
    Measure(
        DIAL,
        "echo",
        lambda load: {"count": load.visits, "at_once": AT_ONCE},
        lambda seconds, load: load.visits / seconds,
    ),
    Measure(STREAMS, "echo", lambda load: {"count": load.streams}, milliseconds),
    *[
        Measure(small, "web", lambda load: {"count": load.requests, "size": SMALL}, milliseconds)
        for small in (FETCH, URLOPEN, REQUESTS)
    ],
    *[
        Measure(large, "web", lambda _: {"count": LARGE_TIMES, "size": LARGE}, milliseconds)
        for large in (FETCH_LARGE, URLOPEN_LARGE, REQUESTS_LARGE)
    ],
    *[
        Measure(messaged, "web", lambda _: {"count": MESSAGES}, lambda seconds, _: MESSAGES / seconds)
        for messaged in (MESSAGED, MESSAGED_SYNC)
    ],
    Measure(CHANNEL_MESSAGES, "web", lambda _: {"count": MESSAGES}, lambda seconds, _: MESSAGES / seconds),
    *[
        Measure(
            channelled,
            "web",
            lambda _: {"size": CHANNEL_BYTES},
            lambda seconds, _: CHANNEL_BYTES / seconds / 1e6,
        )
        for channelled in (CHANNEL_SEND, CHANNEL_RECEIVE)
    ],
]


@dataclass(frozen=True)
class Target:
    """What we aim at.

    Attributes:
        figure: Of ours.
        peer: Against whose; None: the figure itself counts.
        limit: What the ratio, or the figure, is to reach, or not to exceed.
        against: The peer's figure, where it is another than ours.
        ours: Which of our own peers it is about.
    """

    figure: Figure
    peer: str | None
    limit: float
    against: Figure | None = None
    ours: str = "ours"

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.figure.better == "higher"

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


TARGETS = [
    Target(RECEIVE, "bridge", 4.0),
    Target(FILL, "bridge", 4.0, against=RECEIVE),
    Target(RECEIVE, "fetch", 0.8),
    Target(RECEIVE, "firefox_bridge", 0.8, ours="firefox"),
    Target(SEND, "bridge", 0.95),
    Target(PING, "bridge", 1.15),
    Target(ASYNCIO_PING, "bridge", 1.3, against=PING),
    Target(CONNECT, "websockify", 0.5),
    Target(BURSTS, "bridge", 3.0),
    Target(WORST, None, 1.5),
    Target(DATAGRAM_PING, "bridge", 1.15, against=PING),
    Target(FLOOD, "bridge", 1.0),
    Target(ACCEPT, "ours", 1.0, against=DIAL),
    Target(CPU_DOWN, "websockify", 0.8),
    Target(CPU_DOWN, "wisp", 0.4),
    Target(CPU_UP, "websockify", 0.8),
    Target(CPU_UP, "wisp", 0.4),
    Target(PING, "bare_request", 1.3, ours="xhr"),
    Target(RECEIVE, "bridge", 0.8, ours="xhr"),
    Target(RESUMING, None, 2.0),
    *[Target(small, "page", 1.15, against=FETCH) for small in (URLOPEN, REQUESTS)],
    *[Target(large, "page", 1.15, against=FETCH_LARGE) for large in (URLOPEN_LARGE, REQUESTS_LARGE)],
    *[Target(messaged, "page", 0.8, against=MESSAGED) for messaged in (MESSAGED, MESSAGED_SYNC)],
    *[Target(channelled, "channel", 0.8) for channelled in (CHANNEL_MESSAGES, CHANNEL_SEND, CHANNEL_RECEIVE)],
    Target(START, None, 300.0),
]
