from __future__ import annotations

import secrets

import pytest

from pynet_browser.proxy.workers.placement import key_of, target_in, worker_of


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (b"GET /pynet?affinity=a1 HTTP/1.1\r\nHost: a\r\n", "/pynet?affinity=a1"),
        (b"GET / HTTP/1.0\n", "/"),
        (b"\r\n\r\nGET /x HTTP/1.1\r\n", "/x"),  # RFC 9112, section 2.2
        (b"GET http://a/pynet?affinity=b HTTP/1.1\r\n", "http://a/pynet?affinity=b"),
    ],
)
def test_the_target_is_found_in_the_first_line(head, target):
    assert target_in(head) == target


@pytest.mark.parametrize("head", [b"", b"\r\n", b"GET /pynet?affinity=a HTTP/1.1", b"GET", b"\x16\x03\x01"])
def test_a_line_that_is_not_complete_has_no_target_yet(head):
    assert target_in(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\n",
        b"GET\n",
        b"GET /\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"GET /\0 HTTP/1.1\r\n",
        b"GET / HTTP/11\r\n",
        b"PRI * HTTP/2.0\r\r\n",
        b"\n" * 100 + b"x\n",
    ],
)
def test_what_is_no_request_has_no_target(head):
    assert target_in(head) == ""


def test_no_line_takes_long():
    assert target_in(b"A" * 8191 + b"\n") == ""
    assert target_in(b"A " * 4095 + b"\n") == ""
    assert target_in(b"\r\n" * 4096) is None


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/pynet?affinity=0a1b", "0a1b"),
        ("/pynet/http?token=x&affinity=A_-9", "A_-9"),
        ("/pynet?affinity=a&affinity=b", "a"),  # as HAProxy's url_param has it
        ("http://a/pynet?affinity=a", "a"),
        ("/pynet?affinity=" + "a" * 64, "a" * 64),
        ("/signal/den?token=t", "room den"),
        ("/signal/den", "room den"),
        ("/signal/d%65n", "room den"),
    ],
)
def test_a_key_is_found(target, key):
    assert key_of(target) == key


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "*",
        "/pynet",
        "/pynet?",
        "/pynet?affinity",
        "/pynet?affinity=",
        "/pynet?xaffinity=a",
        "/pynet#?affinity=a",
        "/pynet?affinity=%61",
        "/pynet?affinity=a%26",
        "/pynet?affinity=" + "a" * 65,
        "/pynet?affinity=room den",
        "/signal/",
        "/signal/a/b",
        "/a/signal/b",
    ],
)
def test_what_has_no_key_may_go_anywhere(target):
    assert key_of(target) is None


def test_keys_are_spread_and_each_has_its_worker():
    keys = [secrets.token_hex(8) for _ in range(3000)]
    places = [worker_of(key, 3) for key in keys]
    assert places == [worker_of(key, 3) for key in keys]
    assert all(800 < places.count(number) < 1200 for number in range(3))
    assert worker_of("0a1b", 1) == 0
    assert worker_of("", 2) == 0
