"""Where Python was run in browsers, as a table at the end of the tests.

No cell should be empty for want of a test. A test names its cell by
``record_property("cell", (browser, thread, entry, carrier))``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["COLUMNS", "Cell", "table"]

Cell: TypeAlias = tuple[str, str, str, str]
"""Browser, thread, entry, carrier."""

COLUMNS = [(entry, carrier) for entry in ("async", "sync", "callback") for carrier in ("WebSocket", "HTTP")]
"""How Python is entered, and what carries its session."""


def table(outcomes: Iterable[tuple[Cell, bool]]) -> list[str]:
    """The lines of the table: in each cell how many tests have passed there, or how many have failed.

    Args:
        outcomes: The cell of each test, and whether it has passed.
    """
    passed: dict[Cell, int] = defaultdict(int)
    failed: dict[Cell, int] = defaultdict(int)
    for cell, well in outcomes:
        (passed if well else failed)[cell] += 1
    rows = sorted({(browser, thread) for browser, thread, _, _ in [*passed, *failed]})
    titles = ["browser", "thread", *(f"{entry}, {carrier}" for entry, carrier in COLUMNS)]
    lines = [titles]
    for row in rows:
        cells: list[Cell] = [(*row, *column) for column in COLUMNS]
        lines.append([*row, *(_written(passed[cell], failed[cell]) for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _written(passed: int, failed: int) -> str:
    if failed:
        return f"{failed} FAILED"
    return f"ok ({passed})" if passed else "–"
