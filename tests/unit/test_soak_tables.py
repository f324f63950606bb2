"""What a soak calls flat, and what it shows."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.soak_tables import FIGURES, Figure, draw, grown, growth_rows

MEMORY = Figure("memory", "memory", "MB", 10)


def test_growth_is_what_is_beyond_slack_and_share():
    assert not grown(MEMORY, [50.0] * 60)
    assert grown(MEMORY, [50.0 + minute for minute in range(60)])
    assert not grown(MEMORY, [50.0 + minute / 10 for minute in range(60)])  # 6 MB of 50, but within the slack
    assert not grown(MEMORY, [500.0 + minute / 2 for minute in range(60)])  # 30 MB, but of 500
    assert not grown(MEMORY, [100.0 - minute for minute in range(60)])


def test_what_happens_while_it_warms_up_does_not_count():
    assert not grown(MEMORY, [10.0 * minute for minute in range(10)] + [100.0] * 50)


def test_a_leak_that_is_slow_but_steady_is_growth():
    objects = next(figure for figure in FIGURES if figure.name == "objects")
    assert grown(objects, [40_000.0 + 20 * sample for sample in range(120 * 3)])


def test_the_picture_and_the_table_have_every_figure_that_was_sampled():
    series = {figure.name: [1.0, 2.0, 1.0, 1.0, 1.0, 1.0] for figure in FIGURES[:3]}
    series["time"] = [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]
    root = ET.fromstring(draw(series))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{svg}polyline")) == 3
    assert growth_rows(series).count("flat") == 3
