from __future__ import annotations

import pytest

from pynet_browser.proxy.limits import Pace


def test_a_burst_may_come_at_once():
    pace = Pace(rate=10, burst=5)
    assert [pace.delay(100.0) for _ in range(5)] == [0.0] * 5


def test_what_comes_beyond_a_burst_waits_for_its_turn():
    pace = Pace(rate=10, burst=5)
    for _ in range(5):
        pace.delay(100.0)
    assert [pace.delay(100.0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_a_pause_allows_as_many_as_it_was_long_but_no_more_than_a_burst():
    pace = Pace(rate=10, burst=5)
    for _ in range(5):
        pace.delay(100.0)
    assert [pace.delay(100.2) for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])
    assert [pace.delay(1000.0) for _ in range(6)] == pytest.approx([0.0] * 5 + [0.1])


def test_an_even_stream_at_the_rate_never_waits():
    pace = Pace(rate=10, burst=1)
    assert max(pace.delay(step / 10) for step in range(1000)) == pytest.approx(0.0)


def test_an_even_stream_above_the_rate_is_slowed_to_it():
    pace = Pace(rate=10, burst=5)
    done = [step / 100 + pace.delay(step / 100) for step in range(1000)]
    assert done == sorted(done)
    assert (len(done) - 5) / done[-1] == pytest.approx(10, rel=0.01)


def test_what_is_not_allowed_does_not_count():
    pace = Pace(rate=10, burst=5)
    assert [pace.allows(100.0) for _ in range(8)] == [True] * 5 + [False] * 3
    assert [pace.allows(100.1) for _ in range(3)] == [True, False, False]
    assert [pace.allows(200.0) for _ in range(8)] == [True] * 5 + [False] * 3


@pytest.mark.parametrize(("rate", "burst"), [(3, 7), (20_000, 20_000), (1, 1), (7, 100)])
def test_a_whole_burst_is_allowed_however_fractions_add_up(rate, burst):
    pace = Pace(rate, burst)
    assert sum(pace.allows(1234.567) for _ in range(2 * burst)) == burst


def test_of_an_even_stream_above_the_rate_as_many_are_allowed_as_the_rate_says():
    pace = Pace(rate=10, burst=5)
    assert sum(pace.allows(step / 100) for step in range(1000)) == pytest.approx(105, abs=1)
