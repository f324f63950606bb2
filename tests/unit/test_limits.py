from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy.limits import Pace, Paces


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


# ── What may be spent beyond ──────────────────────────────────────────────────────────────────────────────


def test_whoever_spends_more_than_a_burst_owes_the_time():
    pace = Pace(rate=100, burst=50)
    pace.spend(50, 10.0)
    assert pace.debt(10.0) == pytest.approx(0.0)
    pace.spend(100, 10.0)
    assert pace.debt(10.0) == pytest.approx(1.0)
    assert pace.debt(10.5) == pytest.approx(0.5)
    assert pace.debt(11.5) == 0.0
    pace.spend(50, 100.0)
    assert pace.debt(100.0) == pytest.approx(0.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10_000)), max_size=50))
def test_whoever_waits_for_his_debt_keeps_to_the_rate(steps):
    pace, now, spent = Pace(rate=1000, burst=500), 0.0, 0
    for pause, size in steps:
        now += pause + pace.debt(now + pause)
        assert spent <= 500 + 1000 * now + 1e-3
        pace.spend(size, now)
        spent += size


def test_of_several_the_slowest_holds():
    paces = Paces(None, Pace(rate=10, burst=1), Pace(rate=100, burst=1))
    assert paces
    assert paces.rate == 10
    assert [paces.delay(1.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    paces.spend(10, 1.0)
    assert paces.debt(1.0) == pytest.approx(1.2)


def test_where_there_is_no_pace_nothing_waits():
    paces = Paces(None, None)
    assert not paces
    paces.spend(10**9, 1.0)
    assert (paces.delay(1.0), paces.debt(1.0)) == (0.0, 0.0)
    assert Pace.of(None) is None


def test_a_rate_without_a_burst_allows_those_of_a_second():
    pace = Pace.of(7)
    assert pace
    assert sum(pace.allows(5.0) for _ in range(20)) == 7


def test_what_would_wait_too_long_does_not_count():
    paces = Paces(Pace(rate=10, burst=1), Pace(rate=100, burst=1))
    paces.delay(1.0)
    assert [paces.delay(1.0, 0.25) for _ in range(100)] == pytest.approx([0.1, 0.2, *[0.3] * 98])
    assert paces.delay(1.0) == pytest.approx(0.3)
