"""What is asked for, and where redirects lead."""

from __future__ import annotations

import io

import pytest

from pynet_browser.http.outgoing import Outgoing
from pynet_browser.http.redirects import redirected
from pynet_browser.http.request import Request, absolute

URL = "http://server.example/dir/page"


@pytest.mark.parametrize(
    ("given", "base", "whole"),
    [
        ("http://a/", "", "http://a/"),
        ("http://a", "", "http://a/"),
        ("HTTP://A/b#part", "", "http://A/b"),
        ("/x y?q=ü&z", "https://a:8000/b/", "https://a:8000/x%20y?q=%C3%BC&z"),
        ("c%20d", "http://a/b/", "http://a/b/c%20d"),
        ("http://bücher.example/ä", "", "http://xn--bcher-kva.example/%C3%A4"),
        ("http://[::1]:80/", "", "http://[::1]:80/"),
    ],
)
def test_addresses_are_made_absolute_and_ascii(given, base, whole):
    assert absolute(given, base) == whole


@pytest.mark.parametrize("given", ["", "a", "ftp://a/", "http://", "http://a:x/", "http://user:word@a/"])
def test_what_is_no_address_is_refused(given):
    with pytest.raises(ValueError):  # noqa: PT011 - each says what is wrong in its own words
        absolute(given)


@pytest.mark.parametrize(
    ("body", "json", "content", "kind"),
    [
        (None, None, None, None),
        (b"\x00", None, b"\x00", None),
        (memoryview(b"ab"), None, b"ab", None),
        ("ä", None, b"\xc3\xa4", "text/plain;charset=UTF-8"),
        ({"a": "b c", "d": "é"}, None, b"a=b+c&d=%C3%A9", "application/x-www-form-urlencoded"),
        (None, [1], b"[1]", "application/json"),
        (None, 0, b"0", "application/json"),
    ],
)
def test_bodies_become_bytes_of_a_type(body, json, content, kind):
    request = Request.make(URL, "post", body=body, json=json)
    assert (request.method, request.body, request.header("content-type")) == ("POST", content, kind)


def test_a_type_that_is_given_stays():
    request = Request.make(URL, "POST", headers=[("content-type", "x/y")], body="text")
    assert request.headers == (("content-type", "x/y"),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "CONNECT"},
        {"method": "GE T"},
        {"method": ""},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": "\u20ac"}},
        {"body": b"x"},
        {"method": "POST", "body": b"x", "json": 1},
        {"timeout": 0},
        {"timeout": -1.0},
    ],
)
def test_what_cannot_be_sent_is_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        Request.make(URL, **wrong)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
def test_redirects_keep_the_method_or_make_it_get(status, method, becomes):
    body = b"x" if method in ("POST", "PUT") else None
    request = Request.make(URL, method, headers={"Content-Type": "x/y", "A": "b"}, body=body)
    following = redirected(request, status, "../other?q=1")
    assert following
    assert (following.method, following.url) == (becomes, "http://server.example/other?q=1")
    assert following.body == (body if becomes == method else None)
    assert following.header("content-type") == ("x/y" if becomes == method else None)
    assert following.header("a") == "b"


@pytest.mark.parametrize(("status", "location"), [(200, "/"), (304, "/"), (302, None), (300, "/")])
def test_other_answers_are_no_redirects(status, location):
    assert redirected(Request.make(URL), status, location) is None


def test_what_is_for_one_server_is_not_told_to_another():
    headers = {"Authorization": "secret", "Cookie": "a=b", "Accept": "*/*"}
    request = Request.make(URL, headers=headers)
    near, far = redirected(request, 302, "/x"), redirected(request, 302, "http://other.example/")
    assert near
    assert far
    assert near.headers == request.headers
    assert far.headers == (("Accept", "*/*"),)


def test_a_redirect_to_another_kind_of_address_is_refused():
    with pytest.raises(ValueError, match="no http or https address"):
        redirected(Request.make(URL), 302, "file:///etc/passwd")


# ── Bodies that are read as they go out ──────────────────────────────────────────────────────────────────


async def given_later():
    yield b"a"
    yield memoryview(b"bc")


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (io.BytesIO(bytes(100_000)), bytes(100_000)),
        ([b"a", bytearray(b"b")], b"ab"),
        ((piece for piece in (b"a", b"", b"b")), b"ab"),
        (given_later(), b"abc"),
    ],
    ids=["file", "list", "generator", "asynchronous generator"],
)
async def test_bodies_in_pieces_are_kept_as_they_are_until_they_are_collected(body, content):
    request = Request.make(URL, "POST", body=body)
    assert (request.body, request.header("content-type")) == (None, None)
    whole = await request.collected()
    assert (whole.body, whole.source) == (content, None)
    assert await whole.collected() is whole


@pytest.mark.parametrize("body", [["a"], [1], io.StringIO("text")])
async def test_pieces_of_anything_but_bytes_are_refused(body):
    with pytest.raises(TypeError, match="bytes"):
        await Request.make(URL, "POST", body=body).collected()


def test_a_number_is_no_body():
    with pytest.raises(TypeError, match="a body is bytes, str, a mapping, a file"):
        Request.make(URL, "POST", body=3)  # type: ignore[arg-type]


def test_pieces_and_json_do_not_go_together():
    with pytest.raises(ValueError, match="not both"):
        Request.make(URL, "POST", body=[b"a"], json={})


def test_pieces_have_a_method_that_has_a_body():
    with pytest.raises(ValueError, match="GET request has no body"):
        Request.make(URL, body=[b"a"])


async def test_outgoing_tells_whether_any_was_had_and_what_the_source_raised():
    def pieces():
        yield b"a"
        raise KeyError("b")

    source = Request.make(URL, "POST", body=pieces()).source
    assert source is not None
    outgoing = Outgoing(source)
    assert not outgoing.begun
    assert await anext(outgoing) == b"a"
    assert (outgoing.begun, outgoing.error) == (True, None)
    with pytest.raises(KeyError):
        await anext(outgoing)
    assert isinstance(outgoing.error, KeyError)
