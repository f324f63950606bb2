from __future__ import annotations

from dataclasses import replace

import pytest

from pynet_browser.proxy.rooms import UNTAKEN, Bounds, Rooms, Seat
from pynet_browser.signalling import decode_event

BOUNDS = Bounds(rooms=3, message_bytes=100, messages_per_second=10, burst=5, idle=60, lifetime=600)


@pytest.fixture
def rooms() -> Rooms:
    return Rooms(BOUNDS)


def enter(rooms: Rooms, name: str = "a room", now: float = 0.0) -> Seat:
    return rooms.enter(name, lambda _: None, now)


def heard(seat: Seat) -> list[str]:
    """What is sent to him, messages by their text alone."""
    return [said or kind for kind, said in map(decode_event, seat.take())]


def test_two_hear_what_the_other_says_and_the_first_is_told_that_the_second_came(rooms):
    ada = enter(rooms)
    ada.say("nobody hears this", 0)
    bob = enter(rooms)
    ada.say("Grüße", 0)
    bob.say("hello", 0)
    ada.say("bye", 0)
    assert heard(ada) == ["joined", "hello"]
    assert heard(bob) == ["Grüße", "bye"]
    assert heard(ada) == []


def test_others_hear_nothing(rooms):
    ada, carl = enter(rooms, "one"), enter(rooms, "two")
    bob = enter(rooms, "one")
    ada.say("hello", 0)
    assert heard(bob) == ["hello"]
    assert heard(carl) == []


def test_a_third_is_refused_and_nobody_is_told(rooms):
    ada, bob, carl = enter(rooms), enter(rooms), enter(rooms)
    assert carl.ending
    assert carl.ending[0] == 4409
    assert carl.ending[1].startswith("two are in this room")
    carl.say("let me in", 0)
    carl.leave()
    assert heard(ada) == ["joined"]
    assert heard(bob) == []


def test_who_stays_is_told_that_the_other_left_and_then_that_another_came(rooms):
    ada, bob = enter(rooms), enter(rooms)
    ada.leave()
    ada.say("from outside", 0)
    carl = enter(rooms)
    carl.say("hello", 0)
    assert heard(bob) == ["left", "joined", "hello"]
    assert heard(ada) == ["joined"]  # what was sent before is sent


def test_a_room_is_there_as_long_as_somebody_is_in_it(rooms):
    ada, bob = enter(rooms), enter(rooms)
    counts = [len(rooms)]
    for seat in (ada, bob, bob):
        seat.leave()
        counts.append(len(rooms))
    assert counts == [1, 1, 0, 0]


def test_there_are_only_so_many_rooms_and_two_may_still_meet_in_each(rooms):
    first = [enter(rooms, name) for name in "abc"]
    refused = enter(rooms, "d")
    assert refused.ending == (1013, "there are 3 rooms, the most that are allowed (limits.rooms)")
    assert [enter(rooms, name).ending for name in "abc"] == [None] * 3
    assert [seat.ending for seat in first] == [None] * 3
    first[0].leave()
    assert enter(rooms, "d").ending  # one is still in the room
    assert len(rooms) == 3


def test_who_says_too_much_at_once_has_to_go_and_the_other_stays(rooms):
    ada, bob = enter(rooms), enter(rooms)
    for _ in range(6):
        ada.say("again", 0)
    assert ada.ending == (1008, "more than 10 messages a second (limits.room_messages_per_second)")
    assert heard(bob) == ["again"] * 5 + ["left"]
    assert bob.ending is None


def test_who_keeps_to_the_pace_may_go_on(rooms):
    ada, bob = enter(rooms), enter(rooms)
    for number in range(100):
        ada.say("again", number / 10)
        bob.take()
    assert ada.ending is None


def test_who_does_not_take_what_is_said_has_to_go(rooms):
    rooms = Rooms(replace(BOUNDS, burst=1000))
    ada, bob = enter(rooms), enter(rooms)
    for _ in range(UNTAKEN // 2):
        ada.say("x" * 100, 0)
    assert heard(bob) == ["x" * 100] * (UNTAKEN // 2)
    for _ in range(UNTAKEN):
        ada.say("x" * 100, 0)
    assert bob.ending == (1008, "what was sent is not taken")
    assert heard(ada) == ["joined", "left"]


def test_messages_of_the_greatest_size_are_not_too_much(rooms):
    ada, bob = enter(rooms), enter(rooms)
    for _ in range(UNTAKEN - 1):
        ada.say("x" * 100, 0)
    assert heard(bob) == ["x" * 100] * (UNTAKEN - 1)


def test_who_says_nothing_has_to_go(rooms):
    ada = enter(rooms, now=1000.0)
    assert ada.patience(1000.0) == 60
    ada.say("nobody hears this", 1050.0)
    assert ada.patience(1050.0) == 60
    ada.expire(1110.0)
    assert ada.ending == (4408, "nothing was said for 60 s (limits.room_idle)")
    assert len(rooms) == 0


def test_nobody_stays_for_ever(rooms):
    ada = enter(rooms, now=1000.0)
    for second in range(0, 600, 50):
        ada.say("still here", 1000.0 + second)
    assert ada.patience(1590.0) == 10
    ada.expire(1600.0)
    assert ada.ending == (4408, "in the room for 600 s (limits.room_lifetime)")


def test_all_are_told_that_the_proxy_stops(rooms):
    seats = [enter(rooms, "a"), enter(rooms, "a"), enter(rooms, "b")]
    rooms.close()
    assert [seat.ending for seat in seats] == [(1001, "the proxy was stopped")] * 3
    assert len(rooms) == 0


def test_whoever_is_woken_finds_what_there_is():
    rooms = Rooms(BOUNDS)
    found: list[tuple[list[str], object]] = []
    ada = rooms.enter("a room", lambda seat: found.append((heard(seat), seat.ending)), 0)
    enter(rooms).leave()
    ada.leave()
    assert found == [(["joined"], None), (["left"], None), ([], (0, ""))]


def test_reasons_fit_into_a_close_frame():
    rooms = Rooms(Bounds(1, 100, 10_000, 1, 1e9, 2e9))
    idle, old, full, busy = enter(rooms), enter(rooms), enter(rooms), enter(rooms, "other")
    idle.expire(1e9)
    old.expire(2e9)
    fast, slow = enter(rooms), enter(rooms)
    fast.say("x", 0)
    fast.say("x", 0)
    slow.hear("x" * 10_000)
    ended = [seat.ending for seat in (idle, old, full, busy, fast, slow)]
    assert all(ending and 0 < len(ending[1].encode()) <= 123 for ending in ended)
