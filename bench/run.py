"""Measures our sockets beside their peers, in one run and one browser: ``python bench/run.py --help``.

Speed is no test: nothing fails because a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from bench.chart import draw
from bench.measures import FULL, MEASURES, MEMORY, QUICK, RESUMING, START, WARM_UP, WHEEL, Load, Measure
from bench.peers import Peer, UnsupportedError
from bench.processes import OthersShare
from bench.results import Results
from bench.stage import Stage
from bench.surroundings import machine_and_versions
from bench.tables import render
from tests.page_python import PageError, PageTimeoutError
from tests.servers import ROOT, ServerError


def main() -> None:
    options = arguments()
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    try:
        with Stage() as stage:
            results = Results(
                surroundings(stage, options.load), {peer.name: peer.title for peer in stage.peers}
            )
            bench = Bench(stage, results, [m for m in MEASURES if m.figure.name in options.only])
            others = OthersShare()
            bench.run(
                options.rounds,
                options.load,
                start="start" in options.only,
                memory="memory" in options.only,
                resuming="resuming" in options.only,
            )
            results.surroundings["used by others"] = others.in_words()
    except ServerError as error:
        sys.exit(str(error))
    text = render(results)
    (output / "results.json").write_text(json.dumps(results.as_json(), indent=1))
    (output / "table.md").write_text(text)
    (output / "chart.svg").write_text(draw(results))
    print(f"\n{text}\n{output / 'chart.svg'} shows the figures, results.json has them all.")


def arguments() -> argparse.Namespace:
    names = [*(measure.figure.name for measure in MEASURES), "memory", "resuming", "start"]
    parser = argparse.ArgumentParser(description="Measure our sockets beside their peers, in one browser.")
    parser.add_argument("--rounds", type=int, help="how often all of it is done (5; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="smaller loads: done in about a minute")
    parser.add_argument("--only", action="append", choices=names, help="measure this; may be repeated")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="directory for results")
    options = parser.parse_args()
    options.only = options.only or names
    options.load = QUICK if options.quick else FULL
    options.rounds = max(1, options.rounds or (2 if options.quick else 5))
    return options


class Bench:
    """One run."""

    def __init__(self, stage: Stage, results: Results, measures: list[Measure]) -> None:
        self._stage = stage
        self._results = results
        self._measures = measures
        self._peers = list(stage.peers)
        self._hopeless: set[tuple[str, str]] = set()

    def run(self, rounds: int, load: Load, *, start: bool, memory: bool, resuming: bool) -> None:
        began = time.monotonic()
        print("warming up …", flush=True)
        self._results.begin_round()
        self._round(WARM_UP, 0)
        self._results.rounds.clear()
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}, {time.monotonic() - began:.0f} s", flush=True)
            self._results.begin_round()
            self._round(load, number, show=True)
            if memory:
                self._memory(load)
            if resuming:
                self._resuming()
            if start:
                self._start()

    def _round(self, load: Load, number: int, *, show: bool = False) -> None:
        for measure in self._measures:
            # Each is the first once in a while: being first, or after a certain other, may be an advantage.
            turn = number % len(self._peers)
            for peer in self._peers[turn:] + self._peers[:turn]:
                wanted = not peer.only or measure.figure.name in peer.only
                if wanted and (measure.figure.name, peer.name) not in self._hopeless:
                    self._try(measure, peer, load)
            if show:
                self._show(measure)

    def _try(self, measure: Measure, peer: Peer, load: Load) -> None:
        """One sample; a peer that cannot do it is not asked again."""
        figure = measure.figure
        options = measure.options(load)
        before = cpu_seconds(peer)
        try:
            samples = [
                peer.measure(figure.name, measure.service, options) for _ in range(measure.times(load))
            ]
        except UnsupportedError:
            self._hopeless.add((figure.name, peer.name))
            return
        except (TimeoutError, PageError, PageTimeoutError) as error:
            self._hopeless.add((figure.name, peer.name))
            self._results.failures[f"{figure.title}, {peer.title}"] = str(error).splitlines()[0]
            return
        after = cpu_seconds(peer)
        seconds = statistics.median(sample["seconds"] for sample in samples)
        self._results.add(figure, peer.name, measure.value(seconds, load))
        for name, further in measure.also.items():
            if name in samples[0]:
                self._results.add(further, peer.name, statistics.median(sample[name] for sample in samples))
        if measure.cpu and before is not None and after is not None:
            self._results.add(measure.cpu, peer.name, (after - before) / (load.size / 1e9))

    def _memory(self, load: Load) -> None:
        found = self._stage.memory(load.streams)
        for figure in MEMORY:
            if figure.name in found:
                self._results.add(figure, "ours", found[figure.name] / 1000)
                print(f"  {figure.title}: {found[figure.name] / 1000:.4g} {figure.unit}", flush=True)

    def _resuming(self) -> None:
        found = self._stage.resuming()
        self._results.add(RESUMING, "ours", found)
        print(f"  {RESUMING.title}: {found:.3g} {RESUMING.unit}", flush=True)

    def _start(self) -> None:
        times = self._stage.start_again()
        for figure in (WHEEL, START):
            self._results.add(figure, "ours", times[figure.name] * 1000)
        print(f"  {START.title}: {times[START.name] * 1000:.0f} ms", flush=True)

    def _show(self, measure: Measure) -> None:
        values = self._results.rounds[-1].get(measure.figure.name, {})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
        print(f"  {measure.figure.title}, {measure.figure.unit}: {shown}", flush=True)


def cpu_seconds(peer: Peer) -> float | None:
    """What carries its connections has used until now; None where nothing does, or nobody knows."""
    return peer.process.cpu_seconds() if peer.process else None


def surroundings(stage: Stage, load: Load) -> dict[str, str]:
    """What was measured, where and when."""
    return machine_and_versions() | {"load": str(load)} | stage.versions


if __name__ == "__main__":
    main()
