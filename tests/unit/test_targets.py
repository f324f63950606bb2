from __future__ import annotations

import pytest

from pynet_browser.proxy.compat.targets import TargetError, parse_targets, target_of


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("desk.example:5900", ("tcp", "desk.example", 5900)),
        ("tcp:10.0.0.5:1", ("tcp", "10.0.0.5", 1)),
        ("udp:game.example:65535", ("udp", "game.example", 65535)),
        ("[::1]:22", ("tcp", "::1", 22)),
        ("tcp:::1:22", ("tcp", "::1", 22)),
        ("udp:[fe80::1]:22", ("udp", "fe80::1", 22)),
    ],
)
def test_a_target_is_host_and_port_and_perhaps_a_protocol(text, target):
    assert target_of(text) == target


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:http", "host:-1", "host:１"]
)
def test_anything_else_is_none(text):
    with pytest.raises(TargetError, match=r"is no target: .*the port within 1-65535"):
        target_of(text)


def test_a_file_has_one_on_each_line():
    text = "# the desks\n\n  desk-1: desk.example:5900\nv6 : [::1]:22\r\ngame:\tudp:game.example:27960\n"
    assert parse_targets(text) == {
        "desk-1": ("tcp", "desk.example", 5900),
        "v6": ("tcp", "::1", 22),
        "game": ("udp", "game.example", 27960),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: h:1\nb h:1", "line 2 is not `name: host:port`"),
        ("a:h:1", "line 1 is not"),
        ("a: h:1 x", "line 1 is not"),
        ("a: h:0", "line 1: 'h:0' is no target"),
        ("a: h:1\n\na: h:2", "line 3: there is a target 'a' already"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(text, complaint):
    with pytest.raises(TargetError, match=complaint):
        parse_targets(text)
