"""The results as tables in Markdown, which read well in a terminal too. Pure."""

from __future__ import annotations

from bench.measures import TARGETS, Target
from bench.results import Results, Spread

NOTHING = "–"


def render(results: Results) -> str:
    """Ratios first, then the figures, then what was measured."""
    parts = [
        "## Our sockets against their targets",
        table(["measure", "against", "ratio", "spread", "target", "met"], ratio_rows(results)),
        f"Medians of {len(results.rounds)} rounds, in which the peers took turns; spread: least to most.",
        "## Figures",
        table(["measure", *results.peers.values()], figure_rows(results)),
        *[f"{NOTHING} {what}: {why}" for what, why in results.failures.items()],
        "## What was measured",
        table(["", ""], [[name, value] for name, value in results.surroundings.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def ratio_rows(results: Results) -> list[list[str]]:
    rows = []
    for target in TARGETS:
        spread = results.ratio(target)
        if spread is None:
            continue
        against = results.peers[target.peer] if target.peer else "the clock"
        rows.append(
            [
                target.figure.title
                if target.ours == "ours"
                else f"{target.figure.title}, {results.peers[target.ours]}",
                against,
                of_target(spread.median, target),
                f"{of_target(spread.low, target)} to {of_target(spread.high, target)}",
                ("≥ " if target.at_least else "≤ ") + of_target(target.limit, target),
                "yes" if target.met_by(spread.median) else "no",
            ]
        )
    return rows


def of_target(value: float, target: Target) -> str:
    return f"{value:.3g} ×" if target.peer else f"{digits(value)} {target.figure.unit}"


def figure_rows(results: Results) -> list[list[str]]:
    return [
        [
            f"{figure.title}, {figure.unit}",
            *[in_short(results.spread(figure, peer)) for peer in results.peers],
        ]
        for figure in results.figures()
    ]


def in_short(spread: Spread | None) -> str:
    if spread is None:
        return NOTHING
    return f"{digits(spread.median)} ({digits(spread.low)} to {digits(spread.high)})"


def digits(value: float) -> str:
    """Three that count."""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown whose columns stand one below the other."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * max(3, width) for width in widths]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(max(3, w)) for cell, w in zip(cells, widths, strict=True)) + " |"

    return "\n".join(map(line, [head, rule, *rows]))
