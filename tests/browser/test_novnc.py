"""noVNC, as its users embed it, through the proxy's websockify."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.servers import ROOT
from tests.static_host import StaticHost
from tests.vnc import COLOUR, HEIGHT, WIDTH, Screen

WATCH = """async (url) => {
    const { default: RFB } = await import("/core/rfb.js");
    const rfb = new RFB(document.body, url);
    await new Promise((resolve, reject) => {
        rfb.addEventListener("connect", resolve);
        rfb.addEventListener("disconnect", () => reject(new Error("disconnected")));
    });
    const pixel = () => {
        const canvas = document.querySelector("canvas");
        return [canvas.width, canvas.height, ...canvas.getContext("2d").getImageData(5, 5, 1, 1).data];
    };
    while (pixel()[5] === 0) await new Promise(requestAnimationFrame);
    const seen = pixel();
    const gone = new Promise((resolve) => rfb.addEventListener("disconnect", resolve));
    rfb.disconnect();
    await gone;
    return seen;
}"""


@pytest.fixture
def page(profile):
    with StaticHost(ROOT / "js" / "node_modules" / "@novnc" / "novnc") as site:
        page = profile.new_page()
        page.goto(f"{site.url}/LICENSE.txt")
        yield page, site.url
        page.close()


def test_novnc_shows_a_screen_that_only_the_proxy_reaches(page, start_proxy):
    shown, origin = page
    proxy = start_proxy("--origin", origin)
    with Screen() as screen:
        url = f"ws://127.0.0.1:{proxy.port}/websockify/127.0.0.1/{screen.port}?token={quote(proxy.token)}"
        assert shown.evaluate(WATCH, url) == [WIDTH, HEIGHT, *COLOUR, 255]
    assert screen.updates == 1
