"""A line of progress."""

from __future__ import annotations

import io

import pytest

from pynet_browser.http.progress import ProgressBar, line, size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_345, "12.3 kB"),
        (5e6, "5 MB"),
        (7.25e9, "7.25 GB"),
        (3e15, "3e+03 TB"),
    ],
)
def test_sizes_have_three_digits(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("loaded", "bar"),
    [
        (0, " " * 24),
        (500_000, "█" * 12 + " " * 12),
        (510_000, "█" * 12 + "▏" + " " * 11),
        (1_000_000, "█" * 24),
    ],
)
def test_a_bar_is_as_long_as_its_share(loaded, bar):
    shown = line("file", loaded, 1_000_000, 2.0)
    assert f"|{bar:24}|" in shown
    assert shown.endswith(f"{size(loaded)} of 1 MB, {size(loaded / 2)}/s")


def test_without_a_total_there_is_no_bar():
    assert line("file", 2_000_000, None, 2.0) == "file: 2 MB, 1 MB/s"


def test_it_is_drawn_ten_times_a_second_and_at_the_end():
    stream, now = io.StringIO(), [0.0]
    bar = ProgressBar("file", stream, lambda: now[0])
    for step in range(1, 101):
        now[0] = step / 100
        bar(step * 1000, 100_000)
    drawn = stream.getvalue().count("\r")
    assert 9 <= drawn <= 11
    bar.close()
    assert stream.getvalue().endswith("100%|" + "█" * 24 + "| 100 kB of 100 kB, 100 kB/s\n")
