"""Windows against tests/vectors/window.json, and against any reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.errors import ProtocolError
from pynet_browser.window import BUSY, WINDOW_INITIAL, WINDOW_MAX, Budget, ReceiveWindow, SendWindow
from tests.unit.vectors import by_name, vectors

VECTORS = vectors("window")


@pytest.mark.parametrize("script", **by_name(VECTORS["send"]))
def test_a_send_window_does_what_the_vectors_say(script):
    window = SendWindow(script["credit"])
    for step in script["steps"]:
        match step:
            case {"call": "is"}:
                assert window.credit == step["credit"]
            case {"call": "sent"}:
                window.sent(step["size"])
            case {"call": "opened", "fails": sentence}:
                with pytest.raises(ProtocolError, match=sentence):
                    window.opened(step["credit"])
            case _:
                window.opened(step["credit"])


@pytest.mark.parametrize("script", **by_name(VECTORS["receive"]))
def test_a_receive_window_does_what_the_vectors_say(script):
    budget = Budget(script["budget"])
    window = ReceiveWindow(budget, script["size"], script["limit"])
    for step in script["steps"]:
        if "fails" in step:
            with pytest.raises(ProtocolError, match=step["fails"]):
                perform(window, step)
        elif step["call"] == "is":
            assert (window.size, budget.left) == (step["size"], step.get("budget", budget.left))
        else:
            perform(window, step)


def perform(window: ReceiveWindow, step: dict[str, Any]) -> None:
    match step["call"]:
        case "received":
            window.received(step["size"])
        case "consumed":
            now, busy = step["now"] / 1000, step.get("busy", BUSY * 1000) / 1000
            assert window.consumed(step["size"], step["held"], now, busy) == step["gives"], step
        case "resize":
            assert window.resize(step["size"]) == step["gives"], step
        case "close":
            window.close()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 4))), st.integers(0, 10_000))
def test_what_is_under_way_and_what_is_held_never_exceed_the_window(happenings, growth):
    budget = Budget(growth)
    receiving, sending = ReceiveWindow(budget, 1000, 8000), SendWindow(1000)
    held, now = 0, 0.0
    for reads, share, pause in happenings:
        now += pause
        if reads:
            size = int(held * share)
            held -= size
            sending.opened(receiving.consumed(size, held, now))
        else:
            size = int(sending.credit * share)
            sending.sent(size)
            receiving.received(size)
            held += size
        assert held + sending.credit <= receiving.size <= 8000
        assert receiving.size - 1000 + budget.left == growth
    receiving.close()
    assert budget.left == growth


sizes = st.integers(0, 20_000)


@given(st.lists(st.tuples(st.sampled_from(["resize", "read", "send"]), st.floats(0, 1), sizes)), sizes)
def test_a_window_that_is_resized_again_and_again_keeps_to_its_sizes_and_its_budget(happenings, growth):
    budget = Budget(growth)
    receiving, sending = ReceiveWindow(budget, 4000), SendWindow(4000)
    held, most, now = 0, 4000, 0.0
    for happening, share, wanted in happenings:
        match happening:
            case "resize":
                sending.opened(receiving.resize(wanted))
                most = max(most, receiving.size)
            case "read":
                size = int(held * share)
                held -= size
                sending.opened(receiving.consumed(size, held, now))
            case _:
                size = int(sending.credit * share)
                sending.sent(size)
                receiving.received(size)
                held += size
        most = max(receiving.size, min(most, held + sending.credit))
        assert held + sending.credit <= most
        assert held + sending.credit <= 4000 + growth - budget.left
        assert 0 <= budget.left <= growth
    receiving.close()
    assert budget.left == growth


@given(st.lists(st.integers(1, 2000), min_size=1))
def test_a_sender_never_waits_for_a_reader_that_has_read_everything(sizes):
    receiving, sending = ReceiveWindow(Budget(0), 1000, 1000), SendWindow(1000)
    for wanted in sizes:
        size = min(wanted, sending.credit)
        sending.sent(size)
        receiving.received(size)
        sending.opened(receiving.consumed(size, 0, 0))
        assert sending.credit > 0


def test_a_fast_reader_ends_with_the_largest_window_and_a_slow_one_with_the_first():
    budget = Budget(64 << 20)
    for pause, size in ((0.01, WINDOW_MAX), (0.3, WINDOW_INITIAL)):
        window, now = ReceiveWindow(budget), 0.0
        for _ in range(20):
            now += pause
            window.received(window.size // 2)
            window.consumed(window.size // 2, 0, now)
        assert window.size == size
