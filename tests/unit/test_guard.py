from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_browser.proxy.config import Config
from pynet_browser.proxy.guard import Refusal, check_host, check_origin

OWN = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1",
        "127.0.0.1:8765",
        "192.168.1.5:8765",
        "[::1]",
        "[::1]:8765",
        "localhost",
        "LOCALHOST:8765",
        "localhost.:8765",
        "app.localhost:8765",
        "proxy.example",
        "Proxy.Example:443",
        "laptop:8765",
    ],
)
def test_the_proxy_answers_to_its_names_and_to_addresses(header):
    assert check_host(header, Config(host="laptop", hostnames=("proxy.example",))) is None


@pytest.mark.parametrize(
    "header",
    [
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "2130706433",
        "0x7f.1",
        "proxy.example.evil",
    ],
)
def test_a_rebound_name_is_refused(header):
    name = header.split(":")[0]
    assert check_host(header, Config(hostnames=("proxy.example",))) == Refusal(
        "host", f"the proxy does not go by the name {name!r}; if it should, start it with --hostname {name}"
    )


@pytest.mark.parametrize("header", [None, "", ":8765", "[::1", "a:b:c", "localhost:80:80", "."])
def test_a_request_without_a_proper_host_is_refused(header):
    refusal = check_host(header, Config())
    assert refusal == Refusal("host", "the request does not say which host it is for")


@pytest.mark.parametrize(
    ("origin", "own", "origins"),
    [
        (OWN, OWN, ()),
        ("http://localhost", "http://localhost:80", ()),
        ("https://proxy.example", "https://proxy.example:443", ()),
        ("http://[::1]:8765", "http://[::1]:8765", ()),
        ("http://localhost:8000", OWN, ("http://localhost:8000",)),
        ("http://localhost:8000", OWN, ("HTTP://LocalHost:8000/",)),
        ("https://a.example", OWN, ("https://a.example:443",)),
        ("null", OWN, ("null",)),
        ("https://anyone.example", OWN, ("*",)),
        ("null", OWN, ("*",)),
        ("chrome-extension://abcdef", OWN, ("chrome-extension://abcdef",)),
    ],
)
def test_pages_that_were_given_leave_get_in(origin, own, origins):
    assert check_origin(origin, own, origins, wants_token=True) is None


@pytest.mark.parametrize(
    ("origin", "own", "origins"),
    [
        ("http://localhost:8000", OWN, ()),
        ("https://127.0.0.1:8765", OWN, ()),
        ("http://127.0.0.1:8766", OWN, ()),
        ("http://127.0.0.1", OWN, ()),
        ("http://localhost:8000.evil.example", OWN, ("http://localhost:8000",)),
        ("https://a.example.evil", OWN, ("https://a.example",)),
        ("https://sub.a.example", OWN, ("https://a.example",)),
        ("http://a.example", OWN, ("https://a.example",)),
        ("https://a.example:8443", OWN, ("https://a.example",)),
        ("*", OWN, ()),
        ("", OWN, ()),
        ("http://[::1", OWN, ()),
        ("http://a.example:port", OWN, ("http://a.example",)),
    ],
)
def test_other_pages_are_told_what_to_change(origin, own, origins):
    assert check_origin(origin, own, origins, wants_token=True) == Refusal(
        "origin", f"the proxy refuses pages from {origin}; start it with --origin {origin}"
    )


def test_a_page_without_an_origin_of_its_own_is_refused():
    refusal = check_origin("null", OWN, (), wants_token=True)
    assert refusal is not None
    assert refusal.code == "origin"
    assert refusal.message.endswith("or start the proxy with --origin null")


def test_a_program_without_origin_gets_in_only_where_it_must_show_a_token():
    assert check_origin(None, OWN, (), wants_token=True) is None
    refusal = check_origin(None, OWN, (), wants_token=False)
    assert refusal is not None
    assert refusal.code == "origin"


@given(st.text())
def test_any_origin_is_judged_without_failing(origin):
    check_origin(origin, OWN, (), wants_token=True)
    check_host(origin, Config())
