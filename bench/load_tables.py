"""What the load test has found, as tables in Markdown: ratios first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.tables import NOTHING, digits, table

Found = dict[str, dict[str, Any]]
"""Figures by name, by peer."""

TITLES = {
    "idle_memory": "memory of an idle client, kB",
    "socket_memory": "memory of a stream, kB",
    "memory": "memory with all of them, MB",
    "memory_loaded": "the same after the busy while, MB",
    "idle_p50": "round trip unloaded, p50, ms",
    "idle_p99": "round trip unloaded, p99, ms",
    "load_p50": "round trip in the busy while, p50, ms",
    "load_p99": "round trip in the busy while, p99, ms",
    "direct_idle_p50": "round trip without any server unloaded, p50, ms",
    "direct_load_p50": "round trip without any server in the busy while, p50, ms",
    "direct_load_p99": "round trip without any server in the busy while, p99, ms",
    "streams": "streams at once",
    "load_messages": "small messages in the busy while",
    "load_bulk": "bytes echoed meanwhile",
    "load_slow": "bytes that slow readers took",
    "lost": "lost, wrong, or refused",
    "cpu_down": "processor time for a gigabyte down, s",
    "cpu_up": "processor time for a gigabyte up, s",
    "cpu_small": "processor time for 10 000 small messages, s",
    "speed_down": "speed meanwhile, down, MB/s",
    "speed_up": "up, MB/s",
    "speed_small": "small messages a second",
}


@dataclass(frozen=True)
class Aim:
    """What ours should reach: at most ``limit`` times what ``peer`` has in ``against``, or so much itself."""

    figure: str
    limit: float | None
    peer: str | None = None
    against: str = ""


AIMS = [
    Aim("idle_memory", 60),
    Aim("idle_memory", None, "wisp-js"),
    Aim("socket_memory", None, "wisp-js"),
    Aim("idle_memory", None, "websockify"),
    Aim("cpu_down", 0.8, "websockify"),
    Aim("cpu_up", 0.8, "websockify"),
    Aim("cpu_down", 0.4, "wisp-js"),
    Aim("cpu_up", 0.4, "wisp-js"),
    Aim("cpu_small", None, "websockify"),
    Aim("cpu_small", None, "wisp-js"),
    Aim("load_p99", 5, "ours", "idle_p50"),
    Aim("load_p99", None, "websockify"),
    Aim("load_p99", None, "wisp-js"),
    Aim("lost", 0),
]


def render(found: Found, surroundings: dict[str, str]) -> str:
    """Ratios, figures, and what was measured."""
    rows = [row for aim in AIMS if (row := aim_row(aim, found))]
    figures = [
        [title, *(short(found[peer].get(name)) for peer in found)]
        for name, title in TITLES.items()
        if any(name in figures for figures in found.values())
    ]
    parts = [
        table(["measure", "against", "ours", "aim", "met"], rows),
        table(["figure", *found], figures),
        table(["", ""], [[name, value] for name, value in surroundings.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def aim_row(aim: Aim, found: Found) -> list[str] | None:
    ours = found.get("ours", {}).get(aim.figure)
    if ours is None:
        return None
    if aim.peer is None:
        value, shown = ours, short(ours)
        against = NOTHING
    else:
        name = aim.against or aim.figure
        theirs = found.get(aim.peer, {}).get(name)
        if not theirs:
            return None
        value = ours / theirs
        shown = f"{value:.2g} ×"
        against = f"{aim.peer}: {short(theirs)}" + (f" ({TITLES[name]})" if aim.against else "")
    limit = NOTHING if aim.limit is None else f"≤ {aim.limit:g}{' ×' if aim.peer else ''}"
    met = NOTHING if aim.limit is None else "yes" if value <= aim.limit else "no"
    return [TITLES[aim.figure], against, shown, limit, met]


def short(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else digits(value)
