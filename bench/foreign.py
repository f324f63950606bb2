"""Measures the proxy's endpoints for foreign clients beside the originals: ``python bench/foreign.py``.

Both are given the same bytes by the same clients, by turns. Nothing fails because one is slower.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from bench.foreign_clients import Posix, Websockify, Wisp
from bench.processes import MeasuredProcess, Proxy, Services, WispServer
from bench.processes import Websockify as WebsockifyServer
from bench.tables import table
from tests.servers import ROOT

ORIGINAL = Path("/usr/share/emscripten/tools/websocket_to_posix_proxy/src")
"""Where Debian's package has its source."""

SIZE = 100_000_000
SECONDS = 1.0
ROUNDS = 5


class PosixOriginal(MeasuredProcess):
    """What comes with Emscripten. It is started for each round: after 32,000 reads it answers no more."""

    def __init__(self, program: Path) -> None:
        super().__init__()
        self._program = program

    def command(self) -> list[str]:
        return [str(self._program), str(self.port)]


def compiled(directory: Path) -> Path | None:
    """The original, as its makers have it compiled; None where that is impossible."""
    if not (ORIGINAL.is_dir() and shutil.which("g++")):
        return None
    program, sources = directory / "original", sorted(map(str, ORIGINAL.glob("*.cpp")))
    command = ["g++", "-O3", "-o", str(program), *sources, "-lpthread"]
    subprocess.run(command, check=True, capture_output=True)
    return program


class Side:
    """One server and the paths that lead through it.

    Attributes:
        process: The server.
    """

    def __init__(self, process: MeasuredProcess, paths: Callable[[int], str]) -> None:
        self.process = process
        self._paths = paths

    def websockify(self, port: int) -> Websockify:
        return Websockify(self.process.address, self._paths(port))

    def wisp(self, port: int) -> Wisp:
        return Wisp(self.process.address, self._paths(port), port)

    def posix(self, port: int) -> Posix:
        return Posix(self.process.address, self._paths(port))


Measure = Callable[[Side, dict[str, int]], float]


def per_gigabyte(move: Measure) -> Measure:
    """Processor seconds of the server for a gigabyte, by what moves ``SIZE`` bytes."""

    def measure(side: Side, ports: dict[str, int]) -> float:
        before = side.process.cpu_seconds() or 0.0
        move(side, ports)
        return ((side.process.cpu_seconds() or 0.0) - before) / (SIZE / 1e9)

    return measure


def websockify_down(side: Side, ports: dict[str, int]) -> float:
    client = side.websockify(ports["source"])
    with client.socket:
        return client.down(SIZE) / 1e6


def websockify_up(side: Side, ports: dict[str, int]) -> float:
    client = side.websockify(ports["sink"])
    with client.socket:
        return client.up(SIZE) / 1e6


def wisp_down(side: Side, ports: dict[str, int]) -> float:
    client = side.wisp(ports["source"])
    with client.socket:
        return client.down(SIZE) / 1e6


def wisp_up(side: Side, ports: dict[str, int]) -> float:
    client = side.wisp(ports["sink"])
    with client.socket:
        return client.up(SIZE) / 1e6


def posix_calls(side: Side, ports: dict[str, int]) -> float:
    client = side.posix(ports["echo"])
    with client.socket:
        return client.calls(ports["echo"], SECONDS)


def posix_down(side: Side, ports: dict[str, int]) -> float:
    client = side.posix(ports["source"])
    with client.socket:
        return client.down(ports["source"], SECONDS) / 1e6


def posix_up(side: Side, ports: dict[str, int]) -> float:
    client = side.posix(ports["sink"])
    with client.socket:
        return client.up(ports["sink"], SECONDS) / 1e6


MEASURES: dict[str, dict[str, tuple[str, Measure]]] = {
    "websockify": {
        "bulk, down": ("MB/s", websockify_down),
        "bulk, up": ("MB/s", websockify_up),
        "processor time, down": ("s/GB", per_gigabyte(websockify_down)),
        "processor time, up": ("s/GB", per_gigabyte(websockify_up)),
    },
    "wisp-js": {
        "bulk, down": ("MB/s", wisp_down),
        "bulk, up": ("MB/s", wisp_up),
        "processor time, down": ("s/GB", per_gigabyte(wisp_down)),
        "processor time, up": ("s/GB", per_gigabyte(wisp_up)),
    },
    "websocket_to_posix_proxy": {
        "calls": ("calls/s", posix_calls),
        "bulk, down": ("MB/s", posix_down),
        "bulk, up": ("MB/s", posix_up),
    },
}
"""By original: what is measured, its unit, and how."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure foreign endpoints beside the originals.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often all of it is done ({ROUNDS})")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="directory for results")
    options = parser.parse_args()
    with ExitStack() as stack:
        text = run(stack, options.rounds)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "foreign.md").write_text(text)
    print(text)


def run(stack: ExitStack, rounds: int) -> str:
    services = stack.enter_context(Services())
    proxy = stack.enter_context(Proxy())
    token = quote(proxy.token, safe="")
    websockify = stack.enter_context(WebsockifyServer(services))
    wisp = stack.enter_context(WispServer())
    pairs = {
        "websockify": (
            Side(proxy, lambda port: f"/websockify/127.0.0.1/{port}?token={token}"),
            Side(websockify, lambda port: f"/?token={port}"),
        ),
        "wisp-js": (Side(proxy, lambda _: f"/wisp/{token}/"), Side(wisp, lambda _: "/")),
    }
    program = compiled(Path(stack.enter_context(TemporaryDirectory())))
    missing = "websocket_to_posix_proxy is not here: it needs Debian's package emscripten, and g++."
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for number in range(-1, rounds):  # the first is to warm up
        with ExitStack() as round_:
            if program:
                original = round_.enter_context(PosixOriginal(program))
                pairs["websocket_to_posix_proxy"] = (
                    Side(proxy, lambda _: f"/posix?token={token}"),
                    Side(original, lambda _: "/"),
                )
            for name, (ours, theirs) in pairs.items():
                for what, (_, measure) in MEASURES[name].items():
                    sides = (ours, theirs) if number % 2 else (theirs, ours)
                    values = {side: measure(side, services.ports) for side in sides}
                    if number >= 0:
                        found[name, what].append((values[ours], values[theirs]))
    rows = [row(name, what, samples) for (name, what), samples in found.items()]
    titles = ["original", "measure", "unit", "ours", "original's", "ours / original's", "spread"]
    return "\n\n".join([table(titles, rows), *([] if program else [missing])]) + "\n"


def row(name: str, what: str, samples: list[tuple[float, float]]) -> list[str]:
    ratios = [ours / theirs for ours, theirs in samples]
    ours, theirs = (statistics.median(side) for side in zip(*samples, strict=True))
    return [
        name,
        what,
        MEASURES[name][what][0],
        f"{ours:.3g}",
        f"{theirs:.3g}",
        f"{statistics.median(ratios):.2f} ×",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    ]


if __name__ == "__main__":
    main()
