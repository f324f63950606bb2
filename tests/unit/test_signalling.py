from __future__ import annotations

import pytest

from pynet_browser.signalling import Event, check_name, decode_event, encode_event, room_url


@pytest.mark.parametrize("name", ["a", "x" * 64, "Küche 7", "a/b?c#d%", "...", "\N{SNOWMAN}"])
def test_a_room_may_have_any_name_that_can_be_read(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", "x" * 65, ".", "..", "two\nlines", "\x00", "a\u200bb", "\ud800"])
def test_other_names_are_refused_with_a_sentence(name):
    with pytest.raises(ValueError, match="1 to 64 printable characters"):
        room_url("ws://127.0.0.1:8765/pynet", name)


@pytest.mark.parametrize(
    ("server", "name", "url"),
    [
        ("ws://127.0.0.1:8765/pynet", "talk", "ws://127.0.0.1:8765/signal/talk"),
        ("wss://school.example/net/pynet", "a/b c", "wss://school.example/net/signal/a%2Fb%20c"),
        ("ws://[::1]:1/pynet", "ä?#", "ws://[::1]:1/signal/%C3%A4%3F%23"),
    ],
)
def test_a_room_is_beside_the_sessions(server, name, url):
    assert room_url(server, name) == url


@pytest.mark.parametrize("event", [("joined", ""), ("left", ""), ("message", ""), ("message", "two words\n")])
def test_events_come_back_as_they_were(event: Event):
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("text", ["", "joined ", "said hello", "messages", "{}"])
def test_what_is_no_event_is_refused(text):
    with pytest.raises(ValueError, match="no event of a room"):
        decode_event(text)
