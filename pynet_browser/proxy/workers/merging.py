"""The metrics of several processes as those of one: Prometheus' text format, and OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["merged"]

EARLIEST = ("process_start_time_seconds", "_created")
LARGEST = ("_info", "process_max_fds", "_max_seconds")
"""Ends of names whose samples are not added up."""

END = "# EOF"


def merged(texts: Iterable[str]) -> str:
    """One text with every sample of these, those with equal names and labels added up.

    Of a start the earliest is told, of what is a maximum the largest.
    """
    comments: dict[str, list[str]] = {}
    samples: dict[str, dict[str, float]] = {}
    ends = False
    for text in texts:
        family = ""
        for line in text.splitlines():
            if line == END:
                ends = True
            elif line.startswith("#"):
                family = line.split(" ", 3)[2]
                if line not in comments.setdefault(family, []):
                    comments[family].append(line)
            elif line:
                key, _, value = line.rpartition(" ")
                known = samples.setdefault(family, {})
                name = key.partition("{")[0]
                known[key] = _together(name)((known[key], float(value))) if key in known else float(value)
    lines = []
    for family, about in comments.items():
        lines += about
        lines += [f"{key} {value}" for key, value in samples.get(family, {}).items()]
    return "\n".join([*lines, *([END] if ends else [])]) + "\n"


def _together(name: str) -> Callable[[Iterable[float]], float]:
    if name.endswith(EARLIEST):
        return min
    return max if name.endswith(LARGEST) else sum
