"""``diagnose()`` finds out what works between page and proxy, and says what to do about what does not."""

from __future__ import annotations

import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from pynet_browser.diagnosis import Diagnosis
from tests.http_only import HttpOnly
from tests.page_python import PagePython
from tests.servers import ProxyProcess

DIAGNOSE = """
import pynet_browser
diagnosis = await pynet_browser.diagnose(url, token=token, host=host, port=port)
[diagnosis.to_dict(), str(diagnosis), diagnosis._repr_html_()]
"""

PROBE = """async ([bundle, question]) => {
    const { probe, surroundings } = (0, eval)(bundle);
    return { page: surroundings(), ...await probe(question) };
}"""


class Seen:
    """A diagnosis as the page told it."""

    def __init__(self, told: list[Any]) -> None:
        plain, self.text, self.html = told
        self.url = plain["url"]
        self.steps = {step["name"]: step for step in plain["steps"]}
        self.outcomes = {name: step["outcome"] for name, step in self.steps.items()}

    def found(self, name: str) -> str:
        return str(self.steps[name]["found"])

    def advice(self, name: str) -> str:
        return str(self.steps[name]["advice"])

    @property
    def troubles(self) -> dict[str, str]:
        return {name: outcome for name, outcome in self.outcomes.items() if outcome in {"warning", "failed"}}


def diagnose(
    page: PagePython,
    url: str | None = None,
    token: str | None = None,
    target: tuple[str, int] | None = None,
) -> Seen:
    host, port = target or (None, None)
    return Seen(page.run(DIAGNOSE, url=url, token=token, host=host, port=port))


@pytest.fixture(scope="module")
def page(open_python):
    """A page with the package, and no network installed."""
    return open_python(install=False)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback on which nothing listens, and nothing will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# ── Where all is well ─────────────────────────────────────────────────────────────────────────────────────


def test_where_all_is_well_every_step_says_so(page, proxy, echo_server):
    seen = diagnose(page, f"{proxy.url}/?token={proxy.token}", None, (echo_server.host, echo_server.port))
    assert list(seen.outcomes) == [
        *("Python", "browser", "address", "page", "WebSocket", "greeting", "HTTP", "round trip", "datagrams"),
        *("blocking calls", f"{echo_server.host} {echo_server.port}"),
    ]
    assert set(seen.outcomes.values()) == {"ok"}
    assert seen.text.startswith(f"All is well here through {proxy.ws_url}.")
    assert re.search(r"Python 3\.\d+\.\d+ in Pyodide 3\d\d\.", seen.found("Python"))
    assert proxy.url in seen.found("page")
    assert "pynet-browser/" in seen.found("greeting")
    assert "over WebSocket" in seen.found("round trip")
    assert "suspend Python" in seen.found("blocking calls")


def test_the_token_and_the_sessions_key_are_told_to_nobody(page, proxy):
    for url, token in [(f"{proxy.url}/?token={proxy.token}", None), (proxy.ws_url, proxy.token)]:
        seen = diagnose(page, url, token)
        assert proxy.token not in seen.text + seen.html + str(seen.steps)


def test_the_network_that_is_installed_is_the_one_that_is_looked_at_and_it_stays_as_it_is(
    open_python, proxy, echo_server
):
    page = open_python()
    source = """
import socket, pynet_browser
connection = socket.create_connection((host, port), 10)
before = pynet_browser.status()
diagnosis = await pynet_browser.diagnose(host=host, port=port)
after = pynet_browser.status()
connection.sendall(b"still here")
answer = connection.recv(10).decode()
connection.close()
[diagnosis.url, diagnosis.ok, answer, after.reconnects, before.state, after.state]
"""
    found = page.run(source, host=echo_server.host, port=echo_server.port)
    assert found == [proxy.ws_url, True, "still here", 0, "attached", "attached"]


def test_nothing_is_left_behind_at_the_proxy(open_python, start_proxy, tmp_path, echo_server):
    limits = tmp_path / "limits.toml"
    limits.write_text("[limits]\nsessions = 1\n")  # another would be refused
    small = start_proxy("--config", str(limits))
    page = open_python(small, install=False)
    for _ in range(3):
        assert not diagnose(page, small.ws_url, small.token, (echo_server.host, echo_server.port)).troubles


def test_where_python_cannot_be_suspended_the_price_of_waiting_is_told(open_python, proxy):
    page = open_python(install=False, suspends=False)
    seen = diagnose(page, proxy.ws_url, proxy.token)
    assert seen.troubles == {"browser": "warning", "blocking calls": "warning"}
    assert "JSPI" in seen.found("browser")
    assert re.search(r"synchronous requests, \d+(\.\d)? ms each", seen.found("blocking calls"))


def test_how_blocking_calls_wait_is_told_for_where_diagnose_was_called(page, proxy):
    script = """async ([url, token]) => {
        const source = `
import asyncio, pynet_browser
task = asyncio.ensure_future(pynet_browser.diagnose(${JSON.stringify(url)}, token=${JSON.stringify(token)}))`;
        pyodide.runPython(source);
        const diagnosis = await pyodide.globals.get("task");
        return pyodide.runPython("lambda diagnosis: str(diagnosis)")(diagnosis);
    }"""
    text = page.evaluate(script, [proxy.ws_url, proxy.token])
    assert "look at blocking calls" in text
    assert "runPythonAsync" in text


# ── Where something is wrong ──────────────────────────────────────────────────────────────────────────────


def test_a_wrong_token_is_told_from_a_missing_one(page, proxy):
    wrong, missing = diagnose(page, proxy.ws_url, "wrong"), diagnose(page, proxy.ws_url)
    for seen in (wrong, missing):
        assert seen.troubles == {"greeting": "failed"}
        assert seen.outcomes["round trip"] == "skipped"
        assert 'token="' in seen.advice("greeting")
    assert "is not this proxy's" in wrong.found("greeting")
    assert "wants a token" in missing.found("greeting")


def test_a_proxy_that_refuses_pages_of_this_origin_says_so(page, proxy, start_proxy):
    other = start_proxy()  # the page is of `proxy`'s origin
    seen = diagnose(page, other.ws_url, other.token)
    assert seen.troubles == {"greeting": "failed"}
    assert f"--origin {proxy.url}" in seen.found("greeting")
    assert seen.outcomes["HTTP"] == "skipped"


def test_where_nothing_answers_the_advice_is_to_start_the_proxy(page, closed_port):
    seen = diagnose(page, f"ws://127.0.0.1:{closed_port}/pynet", "any", ("127.0.0.1", 1))
    assert seen.troubles == {"WebSocket": "failed", "HTTP": "failed"}
    assert f"nothing answers at 127.0.0.1:{closed_port}" in seen.found("WebSocket")
    assert "pynet-browser serve" in seen.advice("WebSocket")
    assert {seen.outcomes[name] for name in ("greeting", "round trip", "127.0.0.1 1")} == {"skipped"}
    assert seen.text.startswith("Not all works here")


def test_a_server_that_is_no_proxy_is_told_from_none(page, proxy):
    other_path = diagnose(page, f"ws://{proxy.host}:{proxy.port}/elsewhere", proxy.token)
    assert other_path.troubles == {"WebSocket": "failed", "HTTP": "failed"}
    assert "status 404" in other_path.found("HTTP")
    assert "/elsewhere/http" in other_path.advice("HTTP")


def test_what_is_no_address_is_told_and_not_raised(page):
    seen = diagnose(page, "127.0.0.1:8765?token=secret")
    assert seen.troubles == {"address": "failed"}
    assert "secret" not in seen.text


def test_without_an_address_there_is_nothing_to_ask(page):
    seen = diagnose(page, None, None, ("127.0.0.1", 1))
    assert not seen.troubles
    assert seen.outcomes["address"] == seen.outcomes["127.0.0.1 1"] == "skipped"


def test_where_websockets_are_blocked_http_carries_all_of_it(page, proxy, start_proxy, echo_server):
    lenient = start_proxy("--origin", proxy.url)
    with HttpOnly(lenient.address) as relay:
        target = (echo_server.host, echo_server.port)
        seen = diagnose(page, f"ws://127.0.0.1:{relay.port}/pynet", lenient.token, target)
    assert seen.troubles == {"WebSocket": "warning"}
    assert "HTTP" in seen.found("WebSocket")
    assert "over HTTP" in seen.found("round trip")
    assert "connected to" in seen.found(f"{echo_server.host} {echo_server.port}")


def test_where_websockets_are_blocked_and_the_origin_refused_both_may_be_the_reason(page, proxy, start_proxy):
    other = start_proxy()
    with HttpOnly(other.address) as relay:
        seen = diagnose(page, f"ws://127.0.0.1:{relay.port}/pynet", other.token)
    assert seen.troubles == {"WebSocket": "failed", "HTTP": "failed"}
    assert f"--origin {proxy.url}" in seen.advice("HTTP")


# ── Pages that browsers keep away from the proxy ──────────────────────────────────────────────────────────


@pytest.fixture
def probe_from(browser: Browser, wheel: Path, proxy: ProxyProcess) -> Iterator[Callable[..., Seen]]:
    """``probe_from(page)`` has a page at that address look for a proxy; it needs no Python for that."""
    with zipfile.ZipFile(wheel) as archive:
        bundle = archive.read("pynet_browser/pynet.js").decode()
    context = browser.new_context()

    def probe(address: str, url: str = proxy.ws_url, policy: str = "") -> Seen:
        headers = {"Content-Type": "text/html", "Content-Security-Policy": policy}
        context.route(f"{address}**", lambda route: route.fulfill(body="<!doctype html>", headers=headers))
        page = context.new_page()
        page.goto(address)
        question = {
            "url": url,
            "token": proxy.token,
            "agent": "a page",
            "host": "",
            "port": 0,
            "blocks": False,
        }
        told = page.evaluate(PROBE, [bundle, question])
        asked = {"address": url, "invalid": "", "kind": "proxy", "installed": False, "host": "", "port": 0}
        running = {
            "python": "3.14.0",
            "pyodide": "314.0",
            "missing": [],
            "suspends": True,
            "blocking": "auto",
        }
        diagnosis = Diagnosis.of(told | asked | running)
        return Seen([diagnosis.to_dict(), str(diagnosis), diagnosis._repr_html_()])

    yield probe
    context.close()


def test_a_policy_of_the_page_that_forbids_connections_is_named_with_what_to_add(probe_from, proxy):
    seen = probe_from("http://127.0.0.1:1234/", policy="connect-src 'self'")
    assert seen.troubles == {"page": "failed", "WebSocket": "failed", "HTTP": "failed"}
    assert f"{proxy.ws_url.removesuffix('/pynet')} and {proxy.url} " in seen.advice("page")
    assert seen.advice("WebSocket") == "See page."


def test_a_page_of_https_is_told_to_want_tls_beyond_this_machine(probe_from):
    seen = probe_from("https://notebooks.example/", url="ws://192.0.2.1:8765/pynet")
    assert seen.troubles == {"page": "failed", "WebSocket": "failed", "HTTP": "failed"}
    assert "wss://" in seen.advice("page")


@pytest.mark.parametrize(("scheme", "advice"), [("https", "settings"), ("http", "over https")])
def test_a_page_from_elsewhere_that_was_not_allowed_into_the_local_network_is_told_so(
    probe_from, scheme, advice
):
    seen = probe_from(f"{scheme}://notebooks.example/")
    assert seen.outcomes["page"] == "warning"
    assert advice in seen.advice("page")
    assert "page" in seen.advice("WebSocket")


# ── The host that is wanted ───────────────────────────────────────────────────────────────────────────────


def test_a_host_that_the_policy_denies_is_told_with_its_rule(open_python, start_proxy, echo_server):
    strict = start_proxy("--deny", f"127.0.0.1:{echo_server.port}")
    page = open_python(strict, install=False)
    seen = diagnose(page, strict.ws_url, strict.token, ("127.0.0.1", echo_server.port))
    assert seen.troubles == {f"127.0.0.1 {echo_server.port}": "failed"}
    assert "policy refuses" in seen.found(f"127.0.0.1 {echo_server.port}")


def test_a_port_where_nothing_listens_is_told_from_a_name_that_is_none(page, proxy, closed_port):
    refused = diagnose(page, proxy.ws_url, proxy.token, ("127.0.0.1", closed_port))
    assert refused.troubles == {f"127.0.0.1 {closed_port}": "failed"}
    assert "refused" in refused.found(f"127.0.0.1 {closed_port}")
    assert "nothing listens" in refused.advice(f"127.0.0.1 {closed_port}")
    unknown = diagnose(page, proxy.ws_url, proxy.token, ("nowhere.invalid", 80))
    assert unknown.troubles == {"nowhere.invalid 80": "failed"}
    assert "name" in unknown.advice("nowhere.invalid 80")


@pytest.mark.parametrize("arguments", ['host="a"', "port=1", 'host="a", port=0', 'host="a", port=65536'])
def test_half_of_a_target_is_a_value_error_at_the_call(page, arguments):
    source = f"""
import pynet_browser
try:
    pynet_browser.diagnose({arguments})
except ValueError as error:
    answer = str(error)
answer
"""
    assert "port" in page.run(source)
