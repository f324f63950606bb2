"""Thousands of clients of one server, beside its peers: ``python -m bench.load --help``.

Each server is given the same by the same clients (``bench/crowd.py``), one server after the other: idle
clients, streams, a busy while in which what comes back is compared with what was sent, then bulk and small
messages for their price. Speed is no test: nothing fails because a target is missed; what is lost or wrong
makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.crowd import SMALL, echo
from bench.fast_loop import loop_factory
from bench.load_tables import render
from bench.processes import (
    MeasuredProcess,
    OthersShare,
    Proxy,
    Services,
    Websockify,
    WispServer,
    allow_descriptors,
)
from bench.surroundings import machine_and_versions
from bench.tunnels import KINDS, Direct, Stream, ours_url
from tests.peers import pattern
from tests.proxy.carrier import RefusedError
from tests.servers import ROOT, ServerError

WARM_UP = 50
"""Clients that are there before memory is counted: what is made only once is there then."""

SETTLE = 0.3
SETTLED = 0.002
PROBE_PAUSE = 0.004
PROBE_SECONDS = 3.0
REPLY_TIMEOUT = 170.0


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    idle: int
    active: int
    sockets: int
    hold: float
    rate: float
    bulk: float
    slow: int
    size: int
    messages: int

    def at_most(self, clients: int) -> Plan:
        """The same for a server that has a process for each connection."""
        half = clients // 2
        return replace(
            self,
            idle=min(self.idle, half),
            active=min(self.active, half // 2),  # of two streams each: one for bulk, one for small messages
            sockets=min(self.sockets, half),
        )


@dataclass(frozen=True)
class Peer:
    """A server to be measured.

    Attributes:
        kind: of its tunnels.
        url: for them.
        process: it; None if it runs somewhere else.
        plan: what it is given.
    """

    kind: str
    url: str
    process: MeasuredProcess | None
    plan: Plan


def main() -> None:
    options = arguments()
    plan = Plan(
        options.idle, options.active, options.sockets, options.hold, options.rate, options.bulk, options.slow,
        options.size * 1_000_000, options.messages,
    )  # fmt: skip
    others = OthersShare()
    try:
        allow_descriptors(2 * (plan.idle + plan.active) + plan.sockets + 500)
        with asyncio.Runner(loop_factory=loop_factory()) as runner, ExitStack() as stack:
            found = runner.run(measure_all(stack, plan, options))
    except (ServerError, CrowdError, RefusedError, OSError) as error:
        sys.exit(f"{options.url or 'a server that was started here'}: {error}")
    surroundings = machine_and_versions() | {
        "load": ", ".join(f"{name} {value}" for name, value in vars(plan).items()),
        "used by others": others.in_words(),
    }
    text = render(found, surroundings)
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    (output / "load.md").write_text(text)
    (output / "load.json").write_text(json.dumps({"surroundings": surroundings, "found": found}, indent=1))
    print(f"\n{text}\n{output / 'load.md'} has this table, load.json every figure.")
    for peer, figures in found.items():
        for failure in figures["failures"]:
            print(f"{peer}: {failure}")
    sys.exit(1 if "ours" in found and found["ours"]["lost"] else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Thousands of clients of one proxy, beside its peers.")
    parser.add_argument("--url", help="WebSocket of a proxy that runs already, and is measured alone")
    parser.add_argument("--token", default="", help="what that proxy wants to see")
    parser.add_argument("--origin", default="", help="where the clients say they come from")
    parser.add_argument("--idle", type=int, default=2000, help="sessions that do nothing (2000)")
    parser.add_argument("--active", type=int, default=200, help="sessions that do something (200)")
    parser.add_argument("--sockets", type=int, default=10_000, help="sockets of those, together (10000)")
    parser.add_argument(
        "--hold", type=float, default=10.0, metavar="SECONDS", help="how long they do it (10)"
    )
    parser.add_argument("--rate", type=float, default=500.0, help="small messages a second, of all (500)")
    parser.add_argument("--bulk", type=float, default=10.0, help="MB/s echoed meanwhile, of all (10)")
    parser.add_argument("--slow", type=int, default=10, help="clients that hardly read (10)")
    parser.add_argument("--size", type=int, default=400, help="MB each way, for the price of bulk (400)")
    parser.add_argument("--messages", type=int, default=10_000, help="small ones, for their price (10000)")
    parser.add_argument("--processes", type=int, default=200, help="connections of websockify (200)")
    parser.add_argument("--only", action="append", choices=list(KINDS), help="measure this; may be repeated")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="directory for results")
    return parser.parse_args()


async def measure_all(stack: ExitStack, plan: Plan, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    services = stack.enter_context(Services())
    ports = {name: services.ports[name] for name in ("echo", "source", "sink")}
    found = {}
    for kind in options.only or (["ours"] if options.url else KINDS):
        with ExitStack() as alone:  # a server that has nothing to do still takes its turns
            peer = start(alone, kind, plan, services, options)
            print(f"{kind}:", flush=True)
            found[kind] = await Measurement(peer, ports).run()
    return found


def start(stack: ExitStack, kind: str, plan: Plan, services: Services, options: argparse.Namespace) -> Peer:
    """A peer, whose process ends with ``stack``."""
    if kind == "ours" and options.url:
        return Peer(kind, ours_url(options.url, options.token, options.origin), None, plan)
    if kind == "ours":
        sessions = 2 * (plan.idle + plan.active + WARM_UP)
        proxy = Proxy(
            sessions=sessions,
            unauthenticated=1000,
            sockets=2 * plan.sockets + sessions,
            sockets_per_session=plan.sockets + 10,
        )
        stack.enter_context(proxy)
        return Peer(kind, ours_url(proxy.ws_url, proxy.token), proxy, plan)
    if kind == "websockify":
        websockify = stack.enter_context(Websockify(services))
        url = f"ws://{websockify.host}:{websockify.port}/?token=PORT"
        return Peer(kind, url, websockify, plan.at_most(options.processes))
    wisp = stack.enter_context(WispServer())
    return Peer(kind, f"ws://{wisp.host}:{wisp.port}/", wisp, plan)


class CrowdError(Exception):
    """The clients' process is gone, or hangs."""


class CrowdProcess:
    """What drives a server: see ``bench/crowd.py``."""

    def __init__(self, process: asyncio.subprocess.Process, told: Callable[[list[str], int], None]) -> None:
        self._process = process
        self._told = told

    @classmethod
    @asynccontextmanager
    async def started(
        cls, peer: Peer, ports: dict[str, int], told: Callable[[list[str], int], None]
    ) -> AsyncIterator[CrowdProcess]:
        arguments = [peer.kind, peer.url, *map(str, ports.values())]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.crowd", *arguments, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield cls(process, told)
        finally:
            process.kill()
            await process.wait()

    async def do(self, what: str, **options: Any) -> dict[str, Any]:
        """What a task has measured; its failures are told."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": what} | options).encode() + b"\n")
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise CrowdError(f"the clients have not finished {what!r} within {REPLY_TIMEOUT:g} s") from None
        if not line:
            raise CrowdError(f"the clients' process has failed at {what!r}")
        answer: dict[str, Any] = json.loads(line)
        self._told(answer.pop("failures"), answer.pop("failed"))
        return answer


class Measurement:
    """Everything that is measured of one server."""

    def __init__(self, peer: Peer, ports: dict[str, int]) -> None:
        self._peer = peer
        self._ports = ports
        self._found: dict[str, Any] = {"lost": 0, "failures": []}

    def _told(self, failures: list[str], count: int) -> None:
        self._found["failures"] += failures
        self._found["lost"] += count

    async def run(self) -> dict[str, Any]:
        plan, found = self._peer.plan, self._found
        async with CrowdProcess.started(self._peer, self._ports, self._told) as crowd, self._probe() as probe:
            await crowd.do("idle", count=min(WARM_UP, plan.idle))
            await probe("idle", min(PROBE_SECONDS, plan.hold))
            before = await self._memory()
            clients = await crowd.do("idle", count=plan.idle)
            with_idle = await self._memory()
            if before and with_idle:
                found["idle_memory"] = (with_idle - before) / plan.idle / 1000
            show(f"{clients['count']} idle clients", found, "idle_memory", "kB each")
            streams = await crowd.do("sockets", clients=plan.active, count=plan.sockets)
            with_streams = await self._memory()
            if with_idle and with_streams:
                found["socket_memory"] = (with_streams - with_idle) / plan.sockets / 1000
                found["memory"] = with_streams / 1e6
            found["streams"] = streams["count"]
            show(f"{streams['count']} streams of {plan.active} clients", found, "socket_memory", "kB each")
            load = {"seconds": plan.hold, "rate": plan.rate, "bulk": plan.bulk, "slow": plan.slow}
            busy = asyncio.create_task(crowd.do("load", **load))
            await probe("load", plan.hold)
            found |= {f"load_{name}": value for name, value in (await busy).items()}
            show(
                f"busy: {found['load_messages']} messages, {found['load_bulk'] / 1e6:.0f} MB echoed",
                found,
                "load_p99",
                "ms at p99",
            )
            if loaded := await self._memory():
                found["memory_loaded"] = loaded / 1e6
            await self._prices(crowd)
            await crowd.do("leave")
        return found

    async def _prices(self, crowd: CrowdProcess) -> None:
        plan, found = self._peer.plan, self._found
        for way in ("down", "up"):
            used, moved = await self._cpu(crowd.do("bulk", way=way, size=plan.size, clients=4))
            found[f"speed_{way}"] = moved["bytes"] / moved["seconds"] / 1e6
            if used is not None and moved["bytes"]:
                found[f"cpu_{way}"] = used / (moved["bytes"] / 1e9)
            show(f"bulk {way}, {found[f'speed_{way}']:.0f} MB/s", found, f"cpu_{way}", "s/GB")
        used, done = await self._cpu(crowd.do("small", count=plan.messages))
        found["speed_small"] = done["messages"] / done["seconds"]
        if used is not None and done["messages"]:
            found["cpu_small"] = used / (done["messages"] / 10_000)
        show(f"small messages, {found['speed_small']:.0f} a second", found, "cpu_small", "s for 10 000")

    async def _cpu(self, task: Any) -> tuple[float | None, dict[str, Any]]:
        process = self._peer.process
        before = process.cpu_seconds() if process else None
        answer = await task
        after = process.cpu_seconds() if process else None
        return (None if before is None or after is None else after - before), answer

    async def _memory(self) -> int | None:
        """The server's memory, once it does not change any more; None where nobody knows."""
        if self._peer.process is None:
            return None
        before = 0
        for _ in range(20):
            await asyncio.sleep(SETTLE)
            memory = self._peer.process.memory()
            if abs(memory - before) <= SETTLED * memory:
                break
            before = memory
        return memory

    @asynccontextmanager
    async def _probe(self) -> AsyncIterator[Callable[[str, float], Awaitable[None]]]:
        """Round trips of a client that does nothing else, and by turns of one that needs no server."""
        tunnel = await KINDS[self._peer.kind](self._peer.url, self._ports["echo"]).open()
        stream, direct = await tunnel.connect(self._ports["echo"]), await Direct.connect(self._ports["echo"])

        async def probe(when: str, seconds: float) -> None:
            deadline = time.monotonic() + seconds
            times: list[float] = []
            bare: list[float] = []
            while time.monotonic() < deadline:
                for way, found in ((stream, times), (direct, bare)):
                    found.append(await round_trip(way, len(found)))
                    await asyncio.sleep(PROBE_PAUSE)
            self._keep(when, times)
            self._keep(f"direct_{when}", bare)

        try:
            yield probe
        finally:
            stream.close()
            direct.close()
            await tunnel.close()

    def _keep(self, when: str, times: list[float]) -> None:
        percentiles = statistics.quantiles(times, n=100)
        self._found |= {f"{when}_p50": percentiles[49], f"{when}_p99": percentiles[98]}


async def round_trip(stream: Stream, number: int) -> float:
    """Milliseconds that a small message takes there and back."""
    start = time.perf_counter()
    await echo(stream, pattern(SMALL, number * SMALL))
    return (time.perf_counter() - start) * 1000


def show(what: str, found: dict[str, Any], figure: str, unit: str) -> None:
    value = f"{found[figure]:.3g} {unit}" if figure in found else "not measured"
    print(f"  {what}: {value}; {found['lost']} failures", flush=True)


if __name__ == "__main__":
    main()
