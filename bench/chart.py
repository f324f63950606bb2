"""The figures as a picture: a panel for each, a bar for each peer, drawn as SVG. Pure."""

from __future__ import annotations

from html import escape

from bench.measures import TARGETS, Figure, Target
from bench.results import Results, Spread
from bench.tables import digits

COLUMNS = 2
PANEL_WIDTH = 520
MARGIN = 24
HEAD = 84
PANEL_HEAD = 40
ROW = 26
BAR = 14
PANEL_GAP = 26
LABELS = 190
VALUES = 66
BARS = PANEL_WIDTH - LABELS - VALUES - 2 * MARGIN
FOOT = 34

OURS_TOO = {"ours", "xhr", "firefox"}

LEFT_OUT = "host"
"""Beside the system's own sockets all other bars would be slivers."""

OURS = "#1d4ed8"
THEIRS = "#a8b3c4"
TARGET = "#c2410c"

TITLE = "Sockets in the browser, side by side"

STYLE = f"""
    text {{ font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2937 }}
    .title {{ font-size: 20px; font-weight: 600 }}
    .figure {{ font-weight: 600 }}
    .quiet {{ fill: #6b7280; font-size: 12px }}
    .ours {{ font-weight: 600; fill: {OURS} }}
    .value {{ font-variant-numeric: tabular-nums }}
    .spread {{ stroke: #111827; stroke-width: 1.5 }}
    .halo {{ stroke: #ffffff; stroke-width: 4 }}
    .target {{ stroke: {TARGET}; stroke-width: 2 }}
"""


def draw(results: Results) -> str:
    """An SVG document."""
    targets: dict[Figure, Target] = {}
    for target in TARGETS:
        if target.ours == "ours":
            targets.setdefault(target.figure, target)
    figures = [
        figure for figure in results.figures() if figure in targets or len(spreads_of(results, figure)) > 1
    ]
    rows = [figures[start : start + COLUMNS] for start in range(0, len(figures), COLUMNS)]
    heights = [
        max(PANEL_HEAD + ROW * len(spreads_of(results, figure)) for figure in row) + PANEL_GAP for row in rows
    ]
    width = MARGIN + COLUMNS * PANEL_WIDTH
    height = HEAD + sum(heights) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        f"<title>{TITLE}</title><desc>{described(results)}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(MARGIN, 36, TITLE, "title"),
        legend(results, 60),
        *[
            panel(
                results,
                figure,
                targets.get(figure),
                MARGIN + column * PANEL_WIDTH,
                HEAD + sum(heights[:index]),
            )
            for index, row in enumerate(rows)
            for column, figure in enumerate(row)
        ],
        text(MARGIN, height - 16, footer(results.surroundings), "quiet"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def described(results: Results) -> str:
    """What the picture shows, for those who do not see it."""
    words = []
    for target in TARGETS:
        ratio = results.ratio(target)
        if ratio and target.peer and target.ours == "ours":
            words.append(f"{target.figure.title}: {ratio.median:.2g} times {results.peers[target.peer]}")
    return escape("; ".join(words))


def peers_of(results: Results) -> list[str]:
    return [peer for peer in results.peers if peer != LEFT_OUT]


def spreads_of(results: Results, figure: Figure) -> dict[str, Spread]:
    """Of the peers that have this figure."""
    found = {peer: results.spread(figure, peer) for peer in peers_of(results)}
    return {peer: spread for peer, spread in found.items() if spread}


def legend(results: Results, y: int) -> str:
    words = f"bar: median of {len(results.rounds)} rounds; thin line: least to most"
    mark = MARGIN + 330
    return (
        text(MARGIN, y, words, "quiet")
        + f'<line x1="{mark}" x2="{mark}" y1="{y - 11}" y2="{y + 2}" class="target"/>'
        + text(mark + 8, y, "what we aim at", "quiet")
    )


def footer(surroundings: dict[str, str]) -> str:
    names = ["Chromium", "Firefox", "Pyodide", "pynet-browser"]
    versions = [f"{name} {surroundings[name]}" for name in names if name in surroundings]
    return " · ".join([surroundings.get("date", ""), surroundings.get("machine", ""), *versions])


def panel(results: Results, figure: Figure, target: Target | None, x: int, y: int) -> str:
    spreads = spreads_of(results, figure)
    aim = aimed_at(results, target)
    most = max([spread.high for spread in spreads.values()] + ([aim] if aim else []))
    good = "more is better" if figure.better == "higher" else "less is better"
    unit_at = x + PANEL_WIDTH - 2 * MARGIN
    parts = [
        text(x, y + 14, figure.title, "figure"),
        text(unit_at, y + 14, f"{figure.unit}, {good}", "quiet", anchor="end"),
    ]
    for index, (peer, spread) in enumerate(spreads.items()):
        top = y + PANEL_HEAD - 12 + index * ROW
        parts.append(row(results.peers[peer], spread, most, x, top, ours=peer in OURS_TOO))
        if peer == "ours" and aim:
            at = x + LABELS + BARS * aim / most
            parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + ROW}" class="target"/>')
    return "\n".join(parts)


def aimed_at(results: Results, target: Target | None) -> float | None:
    """Where on a panel's scale the target is."""
    if target is None or target.peer is None:
        return target.limit if target else None
    theirs = results.spread(target.against or target.figure, target.peer)
    return theirs.median * target.limit if theirs else None


def row(title: str, spread: Spread, most: float, x: int, top: int, *, ours: bool) -> str:
    middle = top + ROW // 2
    label = text(x + LABELS - 10, middle + 4, title, "ours" if ours else "", anchor="end")
    start = x + LABELS
    length, low, high = (
        f"{start + BARS * value / most:.1f}" for value in (spread.median, spread.low, spread.high)
    )
    return (
        label
        + f'<rect x="{start}" y="{middle - BAR // 2}" width="{float(length) - start:.1f}" height="{BAR}" '
        f'rx="2" fill="{OURS if ours else THEIRS}"/>'
        # The halo lets the thin line be seen on a dark bar.
        + "".join(
            f'<line x1="{low}" x2="{high}" y1="{middle}" y2="{middle}" class="{kind}"/>'
            for kind in ("halo", "spread")
        )
        + text(x + PANEL_WIDTH - 2 * MARGIN, middle + 4, digits(spread.median), "value", anchor="end")
    )


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
