"""``python -m tests.fuzz``: many mutated messages for every decoder; the same again with ``--seed``."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.campaign import Campaign, Outcome
from tests.fuzz.targets import TARGETS
from tests.fuzz.twin import Twin

EVERY = 50_000
"""Inputs between two lines that show progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutated messages for every decoder.")
    parser.add_argument("--count", type=int, default=1_000_000, help="for each decoder (1000000)")
    parser.add_argument("--seed", type=int, help="repeats a run; without it another one each time")
    parser.add_argument("--only", action="append", choices=list(TARGETS), help="this; may be repeated")
    parser.add_argument("--processes", type=int, default=2, help="at once (2)")
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    names = options.only or list(TARGETS)
    with ProcessPoolExecutor(options.processes) as pool:
        outcomes = list(pool.map(campaign, names, [seed] * len(names), [options.count] * len(names)))
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    print("\n".join([*report(names, outcomes), *failures]))
    sys.exit(1 if failures else 0)


def campaign(name: str, seed: int, count: int) -> Outcome:
    with contextlib.ExitStack() as stack:
        twin = stack.enter_context(Twin()) if TARGETS[name].twin else None
        return Campaign(name, seed, twin).run(count, shown(name))


def shown(name: str) -> Callable[[Outcome], None]:
    """Tells now and then how far it is."""
    last = 0

    def show(outcome: Outcome) -> None:
        nonlocal last
        if outcome.inputs // EVERY > last:
            last = outcome.inputs // EVERY
            print(f"{name}: {outcome.inputs:,} in {outcome.seconds:.0f} s", flush=True)

    return show


def report(names: list[str], outcomes: list[Outcome]) -> list[str]:
    lines = [
        "| decoder | inputs | accepted | also by JavaScript | memory, second half | seconds | failures |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in zip(names, outcomes, strict=True):
        memory = f"{each.blocks:+} blocks" + (f", {each.heap / 1000:+.0f} kB" if each.compared else "")
        share = each.accepted / max(1, each.inputs)
        lines.append(
            f"| {name} | {each.inputs:,} | {share:.0%} | {each.compared:,} | {memory} | {each.seconds:.0f} "
            f"| {len(each.failures)} |"
        )
    return lines


if __name__ == "__main__":
    main()
