"""HTTP in the page: by the browser, the proxy, or whichever can; awaited, suspended, blocked."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.page_python import PagePython
from tests.peers import pattern
from tests.web_site import WebSite

WAYS = ("async", "suspended", "blocked")
VIAS = ("browser", "proxy", "auto")

ASK = """
import hashlib
from pynet_browser.http import fetch, fetch_sync

def told(response, body):
    return {
        "status": response.status,
        "reason": response.reason,
        "via": response.via,
        "url": response.url,
        "redirected": response.redirected,
        "history": [head.status for head in response.history],
        "headers": {name.lower(): value for name, value in response.headers.items()},
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": body[:2000].decode("latin-1"),
    }

async def ask(url, **options):
    response = await fetch(url, **options)
    return told(response, await response.bytes())

def ask_now(url, **options):
    response = fetch_sync(url, **options)
    return told(response, response.bytes())

def failure(error):
    bases = [base.__name__ for base in type(error).__mro__]
    return {"error": bases[0], "message": str(error), "bases": bases}

answers = []
for url, options in asked:
    if isinstance(options.get("body"), int):
        options["body"] = bytes(range(256)) * (options["body"] // 256)
    try:
        answers.append(%s)
    except Exception as error:
        answers.append(failure(error))
answers
"""

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def shared() -> Iterator[WebSite]:
    """A server that lets every page read its answers."""
    with WebSite(cors=True) as site:
        yield site


@pytest.fixture(scope="module")
def closed() -> Iterator[WebSite]:
    """A server without CORS."""
    with WebSite(cors=False) as site:
        yield site


@pytest.fixture(scope="module", params=["page", "worker"])
def place(request: pytest.FixtureRequest, open_python: Callable[..., PagePython]) -> PagePython:
    return open_python(thread=request.param)


@pytest.fixture(scope="module")
def ask(place) -> Ask:
    """``ask(way, [(url, options), …])`` makes requests one after the other."""

    def ask(way: str, asked: list[tuple[str, dict[str, Any]]], timeout: float = 30) -> list[dict[str, Any]]:
        call = "await ask(url, **options)" if way == "async" else "ask_now(url, **options)"
        entry = "sync" if way == "blocked" else "async"
        answers: list[dict[str, Any]] = place.run(ASK % call, entry=entry, asked=asked, timeout=timeout)
        return answers

    return ask


def site_for(via: str, shared: WebSite, closed: WebSite) -> WebSite:
    """One that can be read this way."""
    return shared if via == "browser" else closed


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(params=list(itertools.product(WAYS, VIAS)), ids="-".join)
def way_and_via(request: pytest.FixtureRequest) -> tuple[str, str]:
    way, via = request.param
    return way, via


def test_bodies_come_whole(ask, shared, closed, way_and_via):
    way, via = way_and_via
    site = site_for(via, shared, closed)
    paths = {
        "/": b"hello from the HTTP server\n",
        "/large?bytes=3000001": pattern(3_000_001),
        "/chunked?bytes=300001": pattern(300_001),
        "/until-close?bytes=300001": pattern(300_001),
        "/gzip?bytes=200000": pattern(200_000),
        "/br": b"hello" if via == "browser" else None,
        "/empty": b"",
        "/drip?pieces=3&pause=0.05": b"xxx",
    }
    answers = ask(way, [(site.url + path, {"via": via}) for path in paths])
    for (path, body), answer in zip(paths.items(), answers, strict=True):
        if body is None:
            continue  # the proxy asks for what it can decode
        assert "error" not in answer, (path, answer)
        assert (answer["size"], answer["sha256"]) == (len(body), digest(body)), path
        assert answer["status"] == (204 if path == "/empty" else 200)
        assert answer["via"] == ("browser" if via == "browser" else "proxy")


def test_methods_headers_and_bodies_go_out_as_they_are(ask, shared, closed, way_and_via):
    way, via = way_and_via
    site = site_for(via, shared, closed)
    asked: list[tuple[str, dict[str, Any], bytes, str | None]] = [
        ("POST", {"body": "Grüße"}, "Grüße".encode(), "text/plain;charset=UTF-8"),
        ("POST", {"json": {"a": [1, None]}}, b'{"a": [1, null]}', "application/json"),
        ("PUT", {"body": {"a": "1 2"}}, b"a=1+2", "application/x-www-form-urlencoded"),
        ("PATCH", {"body": 256, "headers": {"Content-Type": "x/y"}}, bytes(range(256)), "x/y"),
        ("DELETE", {"headers": [["X-Twice", "one"], ["X-Other", "two"]]}, b"", None),
    ]
    if via == "auto":  # what may have arrived is not made again: see the test of that
        asked = [each for each in asked if each[0] != "POST" or "json" in each[1]]
    url = f"{site.url}/echo/ä?q=ü"
    answers = ask(way, [(url, {"via": via, "method": method, **options}) for method, options, *_ in asked])
    for (method, options, body, kind), answer in zip(asked, answers, strict=True):
        assert "error" not in answer, (method, answer)
        echo = json.loads(answer["text"].encode("latin-1"))
        assert (echo["method"], echo["path"]) == (method, "/echo/ä?q=ü")
        assert (echo["size"], echo["sha256"]) == (len(body), digest(body))
        assert echo["headers"].get("content-type") == kind
        if "headers" in options and isinstance(options["headers"], list):
            assert (echo["headers"]["x-twice"], echo["headers"]["x-other"]) == ("one", "two")


def test_statuses_and_heads_are_answers(ask, shared, closed, way_and_via):
    way, via = way_and_via
    site = site_for(via, shared, closed)
    asked: list[tuple[str, dict[str, Any]]] = [
        (f"{site.url}/status/404", {}),
        (f"{site.url}/status/500", {}),
        (f"{site.url}/", {"method": "HEAD"}),
        (f"{site.url}/range", {"headers": {"Range": "bytes=100-199"}}),
        (f"{site.url}/charset", {}),
    ]
    missing, broken, head, part, text = ask(way, [(url, {"via": via, **options}) for url, options in asked])
    assert (missing["status"], missing["reason"], missing["text"]) == (404, "Not Found", "status 404\n")
    assert broken["status"] == 500
    assert (head["status"], head["size"], head["headers"]["content-length"]) == (200, 0, "12345")
    assert (part["status"], part["sha256"]) == (206, digest(pattern(1000)[100:200]))
    assert part["headers"]["content-range"] == "bytes 100-199/1000"
    assert text["text"] == "Grüße"


def test_redirects_are_followed(ask, shared, closed, way_and_via):
    way, via = way_and_via
    site = site_for(via, shared, closed)
    codes = (301, 302, 303, 307, 308)
    asked: list[tuple[str, dict[str, Any]]] = [(f"{site.url}/go/{code}?to=/echo", {}) for code in codes]
    asked.append((f"{site.url}/loop", {}))
    if via != "auto":
        asked += [(f"{site.url}/go/{code}?to=/echo", {"method": "POST", "body": "abc"}) for code in codes]
    *answers, loop = ask(way, [(url, {"via": via, **options}) for url, options in asked[:6]])
    for code, answer in zip(codes, answers, strict=True):
        assert (answer["url"], answer["redirected"]) == (f"{site.url}/echo", True)
        assert answer["history"] == ([] if via == "browser" else [code])
    assert loop["error"] == "RequestError"
    if via != "auto":
        posted = ask(way, [(url, {"via": via, **options}) for url, options in asked[6:]])
        methods = [json.loads(answer["text"])["method"] for answer in posted]
        assert methods == ["GET", "GET", "GET", "POST", "POST"]


def test_what_breaks_off_is_never_a_short_success(ask, shared, closed, way_and_via):
    way, via = way_and_via
    site = site_for(via, shared, closed)
    answers = ask(way, [(f"{site.url}/{path}", {"via": via}) for path in ("cut?bytes=100000", "break")])
    for answer in answers:
        assert "ConnectionError" in answer["bases"] or "RequestError" in answer["bases"], answer


@pytest.mark.parametrize("via", ["browser", "proxy"])
def test_a_timeout_is_for_what_does_not_happen(ask, place, shared, via):
    # A synchronous request on a page's own thread has no timeout.
    ways = WAYS if place.run("import js; not hasattr(js, 'document')") else WAYS[:2]
    for way in ways:
        dripping, stalled = ask(
            way,
            [
                (f"{shared.url}/drip?pieces=4&pause=0.15", {"via": via, "timeout": 5}),
                (f"{shared.url}/stall", {"via": via, "timeout": 0.4}),
            ],
        )
        assert dripping["text"] == "xxxx", (way, dripping)
        assert stalled["error"] == "TimeoutError", (way, stalled)


def test_fifty_megabytes_go_both_ways(ask, place, shared, closed):
    if place.run("import js; not hasattr(js, 'document')"):
        pytest.skip("once is enough")
    size = 50_000_000
    data = pattern(size)
    for via in ("browser", "proxy"):
        site = site_for(via, shared, closed)
        down, up = ask(
            "async",
            [
                (f"{site.url}/large?bytes={size}", {"via": via}),
                (f"{site.url}/echo", {"via": via, "method": "POST", "body": size // 256 * 256}),
            ],
            timeout=60,
        )
        assert down["sha256"] == digest(data)
        echo = json.loads(up["text"])
        assert echo["sha256"] == digest(bytes(range(256)) * (size // 256))
