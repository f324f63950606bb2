"""Which way a request takes."""

from __future__ import annotations

from http.client import HTTPMessage

import pytest

from pynet_browser.http.request import Request
from pynet_browser.http.route import (
    Place,
    barred,
    denied,
    may_repeat,
    mixed,
    needs_preflight,
    preflight,
    ready_for_browser,
)
from pynet_browser.http.transport import Head, headers_of

HTTP = Place("http://page.example/dir/")
HTTPS = Place("https://page.example/dir/")


def asked(method: str = "GET", url: str = "http://server.example/", **headers: str) -> Request:
    return Request.make(
        url, method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def head(status: int = 204, **headers: str) -> Head:
    return Head(
        status, "", "", headers_of([(name.replace("_", "-"), value) for name, value in headers.items()])
    )


@pytest.mark.parametrize(
    "header", ["Cookie", "Host", "Origin", "Referer", "Date", "Sec-Fetch-Mode", "Proxy-Authorization", "Via"]
)
def test_headers_that_pages_may_not_set_bar_the_browser(header):
    assert header in barred(asked(**{header: "x"}), HTTP)


def test_what_libraries_set_unasked_is_dropped_instead():
    request = asked(
        Connection="close",
        User_Agent="Python-urllib/3.14",
        Accept_Encoding="gzip",
        Content_Length="3",
        Host="server.example",
        X="y",
    )
    assert barred(request, HTTP) == ""
    assert ready_for_browser(request).headers == (("X", "y"),)


@pytest.mark.parametrize(
    ("url", "bars"),
    [
        ("http://server.example/", True),
        ("http://10.0.0.1/", True),
        ("http://127.0.0.1:8000/", False),
        ("http://[::1]:8000/", False),
        ("http://localhost/", False),
        ("http://a.localhost/", False),
        ("https://server.example/", False),
    ],
)
def test_plain_requests_from_https_are_mixed_content_unless_for_this_machine(url, bars):
    assert mixed(asked(url=url), HTTPS) is bars
    assert bool(barred(asked(url=url), HTTPS)) is bars
    assert not mixed(asked(url=url), HTTP)


def test_methods_that_fetch_forbids_bar_the_browser():
    assert "TRACE" in barred(asked("TRACE"), HTTP)
    assert barred(asked("PURGE"), HTTP) == ""


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (asked("GET"), False),
        (asked("POST", Content_Type="text/plain; charset=utf-8"), False),
        (asked("POST", Content_Type="application/x-www-form-urlencoded"), False),
        (asked("POST", Content_Type="application/json"), True),
        (asked("PUT"), True),
        (asked("GET", X_Any="1"), True),
        (asked("GET", Accept="x" * 128), False),
        (asked("GET", Accept="x" * 129), True),
        (asked("GET", User_Agent="dropped"), False),
    ],
)
def test_what_is_not_simple_needs_a_preflight(request_, needed):
    assert needs_preflight(request_) is needed


def test_a_preflight_asks_what_a_browser_asks():
    request = asked("PUT", Content_Type="application/json", X_B="1", X_A="2", Accept="*/*")
    flight = preflight(request, HTTP)
    assert (flight.method, flight.url) == ("OPTIONS", request.url)
    assert dict(flight.headers) == {
        "Origin": "http://page.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-a,x-b",
    }


ALL = {
    "Access_Control_Allow_Origin": "*",
    "Access_Control_Allow_Methods": "*",
    "Access_Control_Allow_Headers": "*",
}


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        (head(204, **ALL), False),
        (head(200, **ALL), False),
        (head(405, **ALL), True),
        (head(204), True),
        (head(204, **ALL | {"Access_Control_Allow_Origin": "http://page.example"}), False),
        (head(204, **ALL | {"Access_Control_Allow_Origin": "http://other.example"}), True),
        (head(204, **ALL | {"Access_Control_Allow_Methods": "GET, PUT"}), False),
        (head(204, **ALL | {"Access_Control_Allow_Methods": "GET"}), True),
        (head(204, **ALL | {"Access_Control_Allow_Headers": "X-A, content-type"}), False),
        (head(204, **ALL | {"Access_Control_Allow_Headers": "content-type"}), True),
    ],
)
def test_an_answer_to_a_preflight_is_read_as_a_browser_reads_it(answer, refuses):
    request = asked("PUT", Content_Type="application/json", X_A="2")
    assert denied(request, HTTP, answer) is refuses


def test_a_star_is_no_leave_for_credentials():
    request = Request.make("http://server.example/", "PUT", options={"credentials": "include"})
    assert denied(request, HTTP, head(204, **ALL))
    authorized = asked("GET", Authorization="Basic x")
    assert denied(authorized, HTTP, head(204, **ALL))


def test_only_what_changes_nothing_may_be_made_again():
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE")
    assert [method for method in methods if may_repeat(asked(method))] == ["GET", "HEAD", "OPTIONS"]


def test_an_origin_is_scheme_host_and_port():
    place = Place("http://page.example:80/x")
    assert place.shares_origin(asked(url="http://PAGE.example/y"))
    assert not place.shares_origin(asked(url="https://page.example/y"))
    assert not place.shares_origin(asked(url="http://page.example:81/y"))


def test_headers_keep_those_that_come_twice():
    headers = headers_of([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert isinstance(headers, HTTPMessage)
    assert headers.get_all("set-cookie") == ["a=1", "b=2"]
