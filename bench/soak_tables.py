"""What a soak has seen, as a table, as a picture, and whether it stayed the same. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from html import escape

from bench.tables import digits, table

__all__ = ["FIGURES", "Figure", "Series", "draw", "grown", "growth_rows"]

Series = dict[str, list[float]]
"""Samples by the name of a figure, and ``time`` in seconds."""

WARM_UP = 1 / 6
"""Share of the time in which buffers and caches find their sizes."""

WIDTH, HEIGHT, GAP, MARGIN = 760, 110, 40, 24


@dataclass(frozen=True)
class Figure:
    """What is sampled: it may be more in the last third than in the first by ``slack``, or by a ``share``."""

    name: str
    title: str
    unit: str
    slack: float
    share: float = 0.1


FIGURES = [
    Figure("proxy", "the proxy's memory", "MB", 10),
    Figure("descriptors", "the proxy's open files", "", 20),
    Figure("heap", "JavaScript of the page, after a collection", "MB", 3),
    Figure("wasm", "WebAssembly's memory of the page", "MB", 2),
    Figure("objects", "Python's objects in the page", "", 3000, 0.05),
    Figure("http_heap", "JavaScript of the page that blocks, after a collection", "MB", 3),
    Figure("http_wasm", "WebAssembly's memory of the page that blocks", "MB", 2),
]


def thirds(samples: list[float]) -> tuple[float, float]:
    """Means of the first third after the warm-up, and of the last."""
    steady = samples[int(len(samples) * WARM_UP) :]
    third = max(1, len(steady) // 3)
    return statistics.mean(steady[:third]), statistics.mean(steady[-third:])


def grown(figure: Figure, samples: list[float]) -> bool:
    """Whether it is more at the end than chance makes it."""
    first, last = thirds(samples)
    return last - first > figure.slack and last > first * (1 + figure.share)


def growth_rows(series: Series) -> str:
    """How each figure began, and how it ended."""
    rows = []
    for figure in FIGURES:
        if samples := series.get(figure.name):
            first, last = thirds(samples)
            judged = "grown" if grown(figure, samples) else "flat"
            title = f"{figure.title}, {figure.unit}" if figure.unit else figure.title
            rows.append([title, digits(first), digits(last), digits(max(samples)), judged])
    return table(["figure", "first third", "last third", "most", ""], rows)


def draw(series: Series) -> str:
    """An SVG document: a line for each figure, from nothing to its most."""
    figures = [figure for figure in FIGURES if series.get(figure.name)]
    height = 2 * MARGIN + len(figures) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * MARGIN}" height="{height}">',
        '<style>text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2937 }</style>',
        f'<rect width="{WIDTH + 2 * MARGIN}" height="{height}" fill="#ffffff"/>',
    ]
    for number, figure in enumerate(figures):
        parts += panel(figure, series["time"], series[figure.name], MARGIN + number * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(figure: Figure, times: list[float], samples: list[float], top: float) -> list[str]:
    most, longest = max(samples) or 1.0, times[-1] or 1.0
    bottom = top + 20 + HEIGHT
    points = " ".join(
        f"{MARGIN + WIDTH * time / longest:.1f},{bottom - HEIGHT * sample / most:.1f}"
        for time, sample in zip(times, samples, strict=True)
    )
    title = f"{figure.title}: at most {digits(most)} {figure.unit}".strip()
    return [
        f'<text x="{MARGIN}" y="{top + 12}">{escape(title)}</text>',
        f'<line x1="{MARGIN}" y1="{bottom}" x2="{MARGIN + WIDTH}" y2="{bottom}" stroke="#a8b3c4"/>',
        f'<polyline points="{points}" fill="none" stroke="#1d4ed8" stroke-width="2"/>',
    ]
