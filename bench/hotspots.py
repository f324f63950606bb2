"""Where the time goes: ``python bench/hotspots.py receive send``.

Tells which threads the processors worked for. Runs a measure under Chromium's own profiler and, if py-spy is
installed, the process that carries its connections under py-spy; prints the functions that took longest.
DevTools opens the ``.cpuprofile``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measures import FULL, MEASURES, WARM_UP, Measure
from bench.peers import BareRequest, JavaScript, Peer, PythonSockets
from bench.stage import Stage
from bench.threads import Shares, threads_timed
from tests.page_python import PagePython
from tests.servers import ROOT

INTERVAL = 100
"""Microseconds between the page's samples."""

SHOWN = 14


def main() -> None:
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    with Stage() as stage:
        [peer] = [peer for peer in stage.peers if peer.name == options.peer]
        for measure in MEASURES:
            if measure.figure.name in options.measures:
                profile(measure, peer, options.repeat, options.output)


def arguments() -> argparse.Namespace:
    names = [measure.figure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(description="Show where the time of a measure goes.")
    parser.add_argument("measures", nargs="*", help=f"any of {', '.join(names)}; all, if none is named")
    parser.add_argument(
        "--peer",
        default="ours",
        choices=[
            "bare_request",
            "bridge",
            "fetch",
            "firefox",
            "firefox_bridge",
            "ours",
            "pyodide",
            "websockify",
            "wisp",
            "xhr",
        ],
        help="Firefox's page has no profile here: of it the threads are told",
    )
    parser.add_argument("--repeat", type=int, default=1, help="how often the measure is done")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "bench", help="directory for profiles"
    )
    options = parser.parse_args()
    if unknown := set(options.measures) - set(names):
        parser.error(f"{', '.join(unknown)} cannot be measured; these can: {', '.join(names)}")
    options.measures = options.measures or names
    return options


def profile(measure: Measure, peer: Peer, repeat: int, output: Path) -> None:
    figure = measure.figure
    peer.measure(figure.name, measure.service, measure.options(WARM_UP))
    stem = output / f"{figure.name}-{peer.name}"
    threads = Shares(float)
    with (
        page_profiled(page_of(peer), stem.with_suffix(".cpuprofile")),
        process_profiled(peer, stem),
        threads_timed(threads),  # the innermost: fetching the profile is no part of it
    ):
        samples = [peer.measure(figure.name, measure.service, measure.options(FULL)) for _ in range(repeat)]
    shown = ", ".join(f"{measure.value(sample['seconds'], FULL):.4g}" for sample in samples)
    print(f"\n# {figure.title}, {peer.title}: {shown} {figure.unit} while profiled")
    show(f"threads, of one processor ({os.cpu_count()} are there)", threads, total=1)
    if (page := stem.with_suffix(".cpuprofile")).exists():
        show("page, self", page_times(json.loads(page.read_text())))
    stacks = stem.with_suffix(".stacks")
    if stacks.exists():
        own, whole = process_times(stacks.read_text())
        show("process, self", own)
        show("process, with what it calls", whole, total=sum(own.values()))


def page_of(peer: Peer) -> PagePython:
    if isinstance(peer, PythonSockets):
        assert isinstance(peer.python, PagePython)
        return peer.python
    assert isinstance(peer, JavaScript | BareRequest)
    return peer.page


@contextmanager
def page_profiled(page: PagePython, path: Path) -> Iterator[None]:
    path.unlink(missing_ok=True)
    if page.browser.product == "Firefox":
        yield
        return
    page.devtools("Profiler.enable")
    page.devtools("Profiler.setSamplingInterval", interval=INTERVAL)
    page.devtools("Profiler.start")
    yield
    page.devtools("Profiler.stop", file=path)
    path.write_text(json.dumps(json.loads(path.read_text())["profile"]))
    page.devtools("Profiler.disable")


@contextmanager
def process_profiled(peer: Peer, stem: Path) -> Iterator[None]:
    assert peer.process is not None
    program, pid = shutil.which("py-spy"), peer.process.pid
    stacks = stem.with_suffix(".stacks")
    stacks.unlink(missing_ok=True)
    if program is None:
        yield
        return
    options = ["--pid", str(pid), "--rate", "500", "--format", "raw", "--duration", "600"]
    spy = subprocess.Popen(
        [program, "record", *options, "--output", str(stacks)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    spy.send_signal(signal.SIGINT)  # it writes its report
    spy.wait()


def page_times(profile: dict[str, Any]) -> Counter[str]:
    """Microseconds by function."""
    names = {node["id"]: name_of(node["callFrame"]) for node in profile["nodes"]}
    times: Counter[str] = Counter()
    for node, microseconds in zip(profile["samples"], profile["timeDeltas"], strict=True):
        times[names[node]] += microseconds
    return times


def name_of(frame: dict[str, Any]) -> str:
    file = Path(frame["url"]).name[:40]
    where = f" {file}:{frame['lineNumber'] + 1}:{frame['columnNumber'] + 1}" if file else ""
    return (frame["functionName"] or "(anonymous)")[:70] + where


def process_times(stacks: str) -> tuple[Counter[str], Counter[str]]:
    """Samples by function: its own, and those of what it calls too."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    return own, whole


def show(title: str, times: Mapping[str, float], total: float | None = None) -> None:
    total = total or sum(times.values()) or 1
    print(f"  {title}:")
    for name, time in sorted(times.items(), key=lambda each: -each[1])[:SHOWN]:
        print(f"    {100 * time / total:5.1f} %  {name}")


if __name__ == "__main__":
    main()
