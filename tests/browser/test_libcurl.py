"""libcurl.js, as its users embed it, through the proxy's Wisp."""

from __future__ import annotations

import pytest

from tests.http_site import HttpSite
from tests.servers import ROOT
from tests.static_host import StaticHost

FETCH = """async ([socket, url]) => {
    const { libcurl } = await import("/libcurl.mjs");
    await libcurl.load_wasm("/libcurl.wasm");
    libcurl.set_websocket(socket);
    const echo = await libcurl.fetch(`${url}/`, { method: "POST", body: "libcurl's own words" });
    const large = await libcurl.fetch(`${url}/large?bytes=1000003`);
    return [echo.status, await echo.text(), (await large.arrayBuffer()).byteLength];
}"""


@pytest.fixture
def page(profile):
    with StaticHost(ROOT / "js" / "node_modules" / "libcurl.js") as site:
        page = profile.new_page()
        page.goto(f"{site.url}/package.json")
        yield page, site.url
        page.close()


def test_libcurl_reaches_a_host_that_only_the_proxy_reaches(page, start_proxy):
    shown, origin = page
    proxy = start_proxy("--origin", origin)
    with HttpSite() as site:
        url = f"ws://127.0.0.1:{proxy.port}/wisp/{proxy.token}/"
        assert shown.evaluate(FETCH, [url, site.url]) == [200, "libcurl's own words", 1_000_003]
