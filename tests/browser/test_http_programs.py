"""Programs and libraries that make HTTP requests as they do anywhere; and what a browser would not do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.http_site import HELLO
from tests.page_python import PagePython
from tests.peers import pattern
from tests.web_site import WebSite

LIBRARIES = ["requests", "httpx", "websocket-client"]


@pytest.fixture(scope="module")
def shared() -> Iterator[WebSite]:
    with WebSite(cors=True) as site:
        yield site


@pytest.fixture
def closed() -> Iterator[WebSite]:
    """A new server without CORS: nobody knows that yet."""
    with WebSite(cors=False) as site:
        yield site


@pytest.fixture(scope="module")
def page(open_python: Callable[..., PagePython]) -> PagePython:
    page = open_python()
    page.run("import micropip; await micropip.install(libraries)", libraries=LIBRARIES, timeout=60)
    return page


@pytest.fixture(scope="module")
def alone(open_python: Callable[..., PagePython]) -> PagePython:
    """Nothing is installed there."""
    return open_python(install=False)


@pytest.fixture(params=["async", "sync"], ids=["suspended", "blocked"])
def run(request: pytest.FixtureRequest, page: PagePython) -> Callable[..., Any]:
    """Runs code that does not await, where Python can be suspended and where it cannot."""
    return lambda source, **names: page.run(source, entry=request.param, **names)


def test_urlopen_is_as_ever(run, shared):
    source = """
        import csv, io
        from urllib.error import HTTPError
        from urllib.request import Request, urlopen, urlretrieve
        with urlopen(Request(url + "/echo", data=b"abc", headers={"X-A": "b"})) as response:
            import json
            echo = json.load(response)
            told = [response.status, response.reason, response.getheader("content-type"), response.geturl()]
        told.append([echo["method"], echo["size"], echo["headers"]["x-a"]])
        path, headers = urlretrieve(url + "/large?bytes=100000", "/tmp/large")
        told.append([path, headers["Content-Length"], open(path, "rb").read(8).hex()])
        try:
            urlopen(url + "/status/404")
        except HTTPError as error:
            told.append([error.code, error.reason, error.read().decode()])
        lines = io.TextIOWrapper(urlopen(url + "/"))
        told.append(list(csv.reader(lines)))
        reader = urlopen(url + "/large?bytes=1000")
        told.append([len(reader.read(10)), len(reader.readline()) > 0, len(reader.read()) > 900])
        told.append(reader.read().decode())
        large = urlopen(url + "/large?bytes=5000000")
        told.append([len(large.read()), large.read().decode()])
        packed = urlopen(url + "/gzip?bytes=1000")  # pandas, for one, would unpack what is said to be packed
        told.append([packed.headers["Content-Encoding"], packed.length, len(packed.read())])
        told
    """
    assert run(source, url=shared.url) == [
        200,
        "OK",
        "application/json",
        f"{shared.url}/echo",
        ["POST", 3, "b"],
        ["/tmp/large", "100000", pattern(8).hex()],
        [404, "Not Found", "status 404\n"],
        [["hello from the HTTP server"]],
        [10, True, True],
        "",
        [5_000_000, ""],
        [None, None, 1000],
    ]


def test_what_breaks_off_is_an_incomplete_read(run, shared, closed):
    source = """
        from http.client import IncompleteRead
        from urllib.error import URLError
        from urllib.request import urlopen
        told = []
        for url in urls:
            try:
                told.append(len(urlopen(url).read()))
            except (IncompleteRead, URLError) as error:
                told.append(type(error).__name__)
        told
    """
    told = run(source, urls=[f"{site.url}/cut?bytes=100000" for site in (shared, closed)])
    assert set(told) <= {"IncompleteRead", "URLError"}


def test_openers_keep_cookies_by_the_proxy(run, closed):
    source = """
        import http.cookiejar, urllib.request
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        opener.open(url + "/cookies?set=a%3D1").read()
        [opener.open(url + "/cookies").read().decode(), sorted(cookie.name for cookie in jar)]
    """
    assert run(source, url=closed.url) == ["a=1; second=2", ["a", "second"]]


def test_fetch_keeps_cookies_in_a_jar(page, closed):
    source = """
        import http.cookiejar
        from pynet_browser.http import fetch
        jar = http.cookiejar.CookieJar()
        first = await fetch(url + "/cookies?set=a%3D1", cookies=jar)
        second = await fetch(url + "/cookies", cookies=jar)
        [first.via, first.headers.get_all("Set-Cookie"), await second.text()]
    """
    assert page.run(source, url=closed.url) == ["proxy", ["a=1; Path=/", "second=2; Path=/"], "a=1; second=2"]


def test_requests_has_history_cookies_and_streams(run, closed):
    source = """
        import requests
        response = requests.get(url + "/go/302?to=/echo", headers={"X-A": "b"})
        told = [response.status_code, response.reason, response.url]
        told.append([each.status_code for each in response.history])
        told.append(response.json()["headers"]["x-a"])
        session = requests.Session()
        session.get(url + "/cookies?set=a%3D1")
        told.append([session.get(url + "/cookies").text, dict(session.cookies)])
        told.append(requests.get(url + "/gzip?bytes=1000").content[:8].hex())
        pieces = requests.get(url + "/large?bytes=1000000", stream=True).iter_content(10_000)
        told.append(sum(map(len, pieces)))
        told.append(requests.put(url + "/echo", json={"a": 1}).json()["size"])
        told.append(requests.get(url + "/status/500").status_code)
        try:
            requests.get(url + "/cut?bytes=100000").content
        except requests.RequestException as error:
            told.append(type(error).__name__)
        told
    """
    *told, error = run(source, url=closed.url)
    assert told == [
        200,
        "OK",
        f"{closed.url}/echo",
        [302],
        "b",
        ["a=1; second=2", {"a": "1", "second": "2"}],
        pattern(8).hex(),
        1_000_000,
        8,
        500,
    ]
    assert error in ("ConnectionError", "ChunkedEncodingError")


@pytest.mark.parametrize("amount", [None, 100])
def test_what_breaks_off_is_an_error_of_requests_as_elsewhere(page, shared, closed, amount):
    source = """
        import requests
        told = []
        for url in urls:
            response = requests.get(url, stream=True, timeout=3 if "drip" in url else 20)
            tell(url)
            try:
                told.append(len(list(response.iter_content(amount))))
            except requests.RequestException as error:
                told.append([type(error).__name__, type(error.args[0]).__name__])
        told
    """
    sites = {site.url: site for site in (shared, closed)}
    for site in sites.values():
        site.let_break.clear()

    def answered(url: str) -> None:
        """The page has what the answer begins with; an end that came at once might be told before it."""
        sites["/".join(url.split("/")[:3])].let_break.set()

    urls = [site + path for path in ("/break?held=1", "/drip?pieces=2&pause=8") for site in sites]
    told = page.run(source, tell=answered, urls=urls, amount=amount)
    cut = ["ChunkedEncodingError", "ProtocolError"]
    late = ["ConnectionError", "ReadTimeoutError"]
    assert told == [cut, cut, late, late]


def test_requests_has_a_large_answer_whole_and_only_once(run, shared):
    source = """
        import requests
        response = requests.get(url + "/large?bytes=5000000")
        [len(response.content), response.content[-4:].hex(), response.raw.read().decode()]
    """
    assert run(source, url=shared.url) == [5_000_000, pattern(5_000_000)[-4:].hex(), ""]


def test_pyfetch_goes_on_as_before(page, shared):
    source = """
        from pyodide.http import pyfetch
        response = await pyfetch(url + "/")
        [response.status, await response.text()]
    """
    assert page.run(source, url=shared.url) == [200, "hello from the HTTP server\n"]


def test_httpx_and_websocket_client_run_over_sockets(page, closed):
    from tests.websocket_site import WebSocketSite

    source = """
        import httpx, websocket
        async with httpx.AsyncClient(verify=False) as client:
            told = [(await client.get(url + "/")).text]
        connection = websocket.create_connection(ws + "/echo", header=["X-A: b"])
        connection.send("Grüße")
        told.append(connection.recv())
        connection.close()
        told
    """
    with WebSocketSite() as server:
        told = page.run(source, url=closed.url, ws=server.url)
    assert told == ["hello from the HTTP server\n", "Grüße"]


# ── By the browser, and then by the proxy ────────────────────────────────────────────────────────────


FETCH = """
    from pynet_browser.http import fetch
    try:
        response = await fetch(url, **options)
        told = [response.status, response.via]
    except Exception as error:
        told = [type(error).__name__, str(error)]
    told
"""


def test_what_changes_nothing_is_made_again_by_the_proxy_and_then_at_once(page, closed):
    assert page.run(FETCH, url=f"{closed.url}/", options={}) == [200, "proxy"]
    assert closed.requests == ["GET /", "GET /"]
    assert page.run(FETCH, url=f"{closed.url}/", options={}) == [200, "proxy"]
    assert closed.requests == ["GET /"] * 3


def test_what_may_have_arrived_is_never_made_again(page, closed):
    kind, words = page.run(FETCH, url=f"{closed.url}/echo", options={"method": "POST", "body": "once"})
    assert kind == "CrossOriginError"
    assert "It may have arrived, and was not made again" in words
    assert closed.requests.count("POST /echo") == 1


def test_what_the_browser_kept_back_is_made_by_the_proxy_once(page, closed):
    told = page.run(FETCH, url=f"{closed.url}/echo", options={"method": "PUT", "json": {"a": 1}})
    assert told == [200, "proxy"]
    assert closed.requests == ["OPTIONS /echo", "OPTIONS /echo", "PUT /echo"]


def test_forbidden_headers_go_by_the_proxy_at_once(page, closed):
    options = {"headers": {"Referer": "http://a.example/", "Cookie": "a=b", "User-Agent": "mine"}}
    source = """
        from pynet_browser.http import fetch
        headers = (await (await fetch(url, **options)).json())["headers"]
        [headers["referer"], headers["cookie"], headers["user-agent"]]
    """
    told = page.run(source, url=f"{closed.url}/echo", options=options)
    assert told == ["http://a.example/", "a=b", "mine"]
    assert closed.requests == ["GET /echo"]


def test_manual_redirects_are_shown_by_the_proxy(page, closed):
    source = """
        from pynet_browser.http import fetch
        response = await fetch(url, redirect="manual")
        [response.status, response.headers["Location"], response.via]
    """
    assert page.run(source, url=f"{closed.url}/go/307?to=/x") == [307, "/x", "proxy"]


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("http://no-such-name.invalid/", "gaierror", "Name or service not known"),
        ("http://127.0.0.1:9/", "ConnectionRefusedError", "Connection refused"),
        ("http://169.254.169.254/", "PolicyError", "the proxy's policy refuses 169.254.169.254:80"),
        ("http://[::ffff:169.254.169.254]/", "PolicyError", "the proxy's policy refuses"),
    ],
)
def test_the_proxy_says_what_is_wrong(page, url, kind, words):
    told = page.run(FETCH, url=url, options={"via": "proxy"})
    assert told[0] == kind
    assert words in told[1]


def test_a_redirect_passes_the_policy_too(page, closed):
    url = f"{closed.url}/go/302?to=http://169.254.169.254/latest"
    told = page.run(FETCH, url=url, options={"via": "proxy"})
    assert told[0] == "PolicyError"


def test_without_a_proxy_the_browser_s_rules_are_told(alone, closed, shared):
    kind, words = alone.run(FETCH, url=f"{closed.url}/", options={})
    assert kind == "CrossOriginError"
    assert 'install(url), and http="auto"' in words
    kind, words = alone.run(FETCH, url=f"{shared.url}/", options={"headers": {"Cookie": "a=b"}})
    assert "browsers do not let pages set the header Cookie" in words
    source = "from pynet_browser.http import urlopen; urlopen(url).read().decode()"
    assert alone.run(source, url=f"{shared.url}/") == "hello from the HTTP server\n"


def test_http_proxy_gives_urllib_connections_of_its_own(alone, proxy, closed):
    source = """
        import pynet_browser
        await pynet_browser.install(address, token=token, http="proxy")
        import json
        from urllib.request import urlopen
        response = urlopen(url + "/echo")
        told = [type(response).__name__, json.load(response)["headers"]["user-agent"]]
        pynet_browser.uninstall()
        told
    """
    kind, agent = alone.run(source, url=closed.url, address=proxy.ws_url, token=proxy.token)
    assert kind == "HTTPResponse"
    assert agent.startswith("Python-urllib/3.")


# ── Downloads, storage, XMLHttpRequest ───────────────────────────────────────────────────────────────


def test_wget_makes_a_file_that_is_whole_or_not_there(run, shared):
    source = """
        import os
        from pynet_browser.http import wget, wget_data
        from urllib.error import HTTPError
        path = wget(url + "/large?bytes=300000", "/tmp/a/b/file")
        told = [path, os.path.getsize(path), len(wget_data(url + "/"))]
        for wrong in ("/cut?bytes=100000", "/status/404"):
            try:
                wget(url + wrong, "/tmp/a/wrong")
            except (OSError, HTTPError) as error:
                told.append(isinstance(error, OSError))
        told.append(os.listdir("/tmp/a"))
        told
    """
    assert run(source, url=shared.url) == ["/tmp/a/b/file", 300_000, 27, True, True, ["b"]]


def test_a_line_of_progress_is_shown_on_demand(page, shared):
    page.console.clear()
    page.run(
        "from pynet_browser.http import wget; wget(url, '/tmp/large', progress=True)",
        url=f"{shared.url}/large?bytes=3000000",
    )
    shown = "\n".join(page.console)
    assert "100%|████████████████████████| 3 MB of 3 MB" in shown


def test_async_wget_calls_back_and_can_be_aborted(page, shared):
    source = """
        import asyncio, os
        from pynet_browser.http import async_wget, async_wget_data
        told, parts = [], []
        progress = lambda *amounts: parts.append(amounts)
        await async_wget(url + "/large?bytes=2000000", "/tmp/two", onload=told.append, onprogress=progress)
        told.append(parts[-1])
        loaded = lambda data: told.append(b'"size": 3' in data)
        await async_wget_data(url + "/echo", method="POST", body=b"abc", onload=loaded)
        failing = async_wget(url + "/status/404", "/tmp/none", onerror=lambda error: told.append(error.code))
        try:
            await failing
        except OSError:
            pass
        slow = url + "/drip?pieces=100&pause=0.1"
        aborted = async_wget(slow, "/tmp/never", onload=told.append, onerror=told.append)
        await asyncio.sleep(0.4)
        aborted.abort()
        await asyncio.sleep(0.2)
        told.append([os.path.exists("/tmp/" + name) for name in ("never", "never.part", "none")])
        told
    """
    told = page.run(source, url=shared.url)
    assert told == ["/tmp/two", [2_000_000, 2_000_000], True, 404, [False, False, False]]


def test_cancelling_a_task_breaks_its_request_off(page, shared):
    source = """
        import asyncio
        from pynet_browser.http import fetch
        told = []
        for via in ("browser", "proxy"):
            response = await fetch(f"{url}/drip?pieces=100&pause=0.1&via={via}", via=via)
            try:
                await asyncio.wait_for(response.bytes(), 0.5)
            except TimeoutError:
                try:
                    await response.bytes()
                except ConnectionError:
                    told.append(via)
        told
    """
    assert page.run(source, url=shared.url) == ["browser", "proxy"]
    paths = {f"/drip?pieces=100&pause=0.1&via={via}" for via in ("browser", "proxy")}
    while paths:
        paths.discard(shared.broken.get(timeout=15))


def test_what_is_stored_outlasts_the_page(page, open_python, shared):
    source = """
        from pynet_browser.http import Storage, fetch
        storage = Storage()
        await storage.store("key", b"value")
        response = await fetch(url, cache="persist")
        [response.via, len(await response.bytes())]
    """
    url = f"{shared.url}/large?bytes=1000"
    assert page.run(source, url=url) == ["browser", 1000]
    shared.requests.clear()
    second = open_python(install=False)
    source = """
        from pynet_browser.http import Storage, fetch
        storage = Storage()
        told = [(await storage.load("key")).decode()]
        told += [storage.exists_sync("key"), await storage.exists("other")]
        for cache in ("persist", "only"):
            response = await fetch(url, cache=cache)
            told.append([response.via, len(await response.bytes()), response.headers["Content-Type"]])
        try:
            await fetch(url + "0", cache="only")
        except FileNotFoundError:
            told.append("not stored")
        replaced = await fetch(url, cache="replace")
        told.append(replaced.via)
        await storage.delete("key")
        try:
            await storage.load("key")
        except KeyError:
            told.append(await storage.keys())
        await storage.clear()
        told.append(await storage.keys())
        told
    """
    copy = ["storage", 1000, "application/octet-stream"]
    assert second.run(source, url=url) == [
        "value",
        True,
        False,
        copy,
        copy,
        "not stored",
        "browser",
        [url],
        [],
    ]
    assert shared.requests == ["GET /large?bytes=1000"]


def test_xml_http_request_has_its_events(page, shared):
    source = """
        import asyncio
        from pynet_browser.http import XMLHttpRequest, xhr
        events, done = [], asyncio.Event()
        request = XMLHttpRequest()
        request.onreadystatechange = lambda each: events.append(each.readyState)
        request.onload = lambda each: events.append("load")
        request.onloadend = lambda each: done.set()
        sent = []
        request.onuploadprogress = lambda *amounts: sent.append(amounts)
        request.open("POST", url + "/echo")
        request.setRequestHeader("X-A", "b")
        request.send(bytes(3_000_000))
        await done.wait()
        told = [events, sent[-1], request.status, request.getResponseHeader("content-type")]
        told.append('"size": 3000000' in request.responseText)
        now = xhr("GET", url + "/", async_=False)
        told.append([now.status, now.responseText, now.readyState])
        failed = asyncio.Event()
        wrong = xhr("GET", "http://127.0.0.1:1/", onerror=lambda each: failed.set(), via="browser")
        await failed.wait()
        told.append([wrong.status, wrong.readyState])
        gone = xhr("GET", url + "/stall", onabort=lambda each: told.append("aborted"))
        await asyncio.sleep(0.1)
        gone.abort()
        told
    """
    assert page.run(source, url=shared.url) == [
        [1, 2, 3, 4, "load"],
        [3_000_000, 3_000_000],
        200,
        "application/json",
        True,
        [200, "hello from the HTTP server\n", 4],
        [0, 4],
        "aborted",
    ]


def test_progress_is_told_both_ways(page, shared):
    source = """
        from pynet_browser.http import fetch
        told = {}
        for via in ("browser", "proxy"):
            sent, got = [], []
            down, up = (lambda *amounts: got.append(amounts)), (lambda *amounts: sent.append(amounts))
            response = await fetch(url + "/large?bytes=2000000", via=via, on_download=down)
            await response.bytes()
            options = {"method": "PUT", "body": bytes(2_000_000), "on_upload": up}
            response = await fetch(url + "/echo", via=via, **options)
            told[via] = [got[-1], len(got) > 1, sent[-1][0] >= 2_000_000, (await response.json())["size"]]
        told
    """
    both = [[2_000_000, 2_000_000], True, True, 2_000_000]
    assert page.run(source, url=shared.url) == {"browser": both, "proxy": both}


def test_integrity_is_checked_by_the_browser_and_never_dropped(page, shared):
    right = base64.b64encode(hashlib.sha256(HELLO).digest()).decode()
    wrong = right[::-1]
    for options, kind, said in [
        ({"integrity": f"sha256-{right}"}, 200, "browser"),
        ({"integrity": f"sha256-{wrong}", "via": "browser"}, "RequestError", "no answer from"),
        ({"integrity": f"sha256-{right}", "via": "proxy"}, "RequestError", "checked by browsers alone"),
    ]:
        found = page.run(FETCH, url=f"{shared.url}/", options=options)
        assert found[0] == kind
        assert said in found[1]


def test_other_requests_go_on_while_code_that_a_request_calls_is_suspended(page, shared):
    source = """
        import asyncio, time
        from pynet_browser.http import fetch, fetch_sync

        async def others():
            while not done:
                told.append(await (await fetch(url + "/")).text())

        def progress(loaded, total):
            time.sleep(0.3)  # Python is suspended meanwhile
            inner.append(asyncio.ensure_future(others()))

        told, inner, done = [], [], False
        before = asyncio.ensure_future(others())
        size = len(fetch_sync(url + "/large?bytes=100000", on_download=progress).bytes())
        await asyncio.sleep(0.1)
        done = True
        await asyncio.gather(before, *inner)
        [size, len(inner) > 0, len(told) > 1, set(told) == {"hello from the HTTP server\\n"}]
    """
    assert page.run(source, url=shared.url) == [100_000, True, True, True]


def test_a_policy_of_the_page_itself_is_told_and_leaves_the_proxy(alone, proxy, shared, closed):
    """The last: the page keeps that policy."""
    alone.run(
        """
        import js
        rule = js.document.createElement("meta")
        rule.httpEquiv, rule.content = "Content-Security-Policy", "connect-src 'self'"
        js.document.head.append(rule)
        None
        """
    )
    kind, words = alone.run(FETCH, url=f"{shared.url}/", options={})
    assert kind == "PagePolicyError"
    assert "Content Security Policy does not let it connect" in words
    kind, words = alone.run(FETCH, url="/no/such/page", options={"integrity": "sha256-AAAA"})
    assert kind == "RequestError"  # nor is everything blamed on it
    source = """
        import asyncio
        from pynet_browser.websocket import InvalidHandshake, WebSocket, connect
        try:
            await connect(url)
        except InvalidHandshake as error:
            told = [str(error)]
        done = asyncio.Event()
        socket = WebSocket(url, onerror=lambda _: told.append("error"))
        socket.onclose = lambda _, code, *__: (told.append(code), done.set())
        await done.wait()
        told
    """
    words, *events = alone.run(source, url=shared.url.replace("http", "ws"))
    assert "the page's own Content Security Policy forbids it" in words
    assert events == ["error", 1006]
    install = "import pynet_browser; await pynet_browser.install(address, token=token); None"
    alone.run(install, address=proxy.ws_url, token=proxy.token)
    told = alone.run(FETCH, url=f"{closed.url}/echo", options={"method": "POST", "body": "once"})
    assert told == [200, "proxy"]
    assert closed.requests == ["POST /echo"]  # the browser has sent nothing, so it was not made twice
