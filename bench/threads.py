"""Which threads the processors worked for: it shows what limits a measure that waits in every profile."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import PROC, family_of, stat_fields

Shares = defaultdict[str, float]
"""By thread, of one processor: 1.0 has kept it busy all the time."""


@contextmanager
def threads_timed(shares: Shares) -> Iterator[None]:
    """Adds to ``shares`` what each thread of this run uses meanwhile.

    Threads that end meanwhile are not seen, and none where the system does not tell (no /proc).
    """
    before, began = seconds_of_threads(), time.perf_counter()
    yield
    wall = time.perf_counter() - began
    for thread, seconds in seconds_of_threads().items():
        shares[thread] += (seconds - before[thread]) / wall


def seconds_of_threads() -> defaultdict[str, float]:
    """Processor seconds of each thread of this process and its children, by their names."""
    seconds: defaultdict[str, float] = defaultdict(float)
    if not PROC.is_dir():
        return seconds
    for pid in family_of(os.getpid()):
        for task in (PROC / str(pid) / "task").glob("*"):
            if fields := stat_fields(task):
                ticks = sum(map(int, fields[11:13]))
                seconds[f"{program(pid)}: {name_of(task)}"] += ticks / os.sysconf("SC_CLK_TCK")
    return seconds


def program(pid: int) -> str:
    """What a process is, in a few words: its program, its script, and of Chromium's which kind."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return f"gone {pid}"
    known = [Path(words[0].split(" ")[0]).name]
    known += [Path(word).name for word in words[1:2] if word.endswith((".py", ".js", ".mjs"))]
    kinds = [word for word in " ".join(words).split() if word.startswith(("--type=", "--utility-sub"))]
    return " ".join([*known, *(kind.partition("=")[2] for kind in kinds), str(pid)])


def name_of(task: Path) -> str:
    try:
        return (task / "comm").read_text().strip()
    except OSError:
        return "gone"
