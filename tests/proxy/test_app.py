from __future__ import annotations

import logging

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from pynet_browser import __version__
from pynet_browser.proxy.app import POLICY, SESSIONS, create_app
from pynet_browser.proxy.assets import Assets
from pynet_browser.proxy.config import Config

WHEEL = "pynet_browser-1.2.3-py3-none-any.whl"


@pytest.fixture
def assets(tmp_path) -> Assets:
    """A demo, a Pyodide and a wheel of a few bytes each."""
    for name, content in {
        "secret.txt": "not for the page",
        "demo/index.html": "<!doctype html>the demo",
        "demo/main.mjs": "export {}",
        "demo/style.css": "",
        "pyodide/pyodide.asm.wasm": "wasm",
        "pyodide/micropip.whl": "wheel",
        f"dist/{WHEEL}": "the wheel",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    return Assets(demo=tmp_path / "demo", pyodide=tmp_path / "pyodide", dist=tmp_path / "dist")


@pytest.fixture
async def serve(assets):
    """Starts a proxy and returns a client of it."""
    clients = []

    async def start(
        config: Config | None = None, assets: Assets = assets
    ) -> TestClient[web.Request, web.Application]:
        client = TestClient(TestServer(create_app(config or Config(token="s3cret"), assets)))
        clients.append(client)
        await client.server.start_server(access_log=None)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_health_tells_the_version(serve):
    response = await (await serve()).get("/healthz")
    assert response.status == 200
    assert await response.json() == {"status": "ok", "version": __version__}


# ── Who is let in ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/healthz", "/", "/demo/", "/dist/latest", "/pynet", "/nowhere"])
async def test_a_rebound_name_is_refused_on_every_path(serve, path):
    client = await serve()
    response = await client.get(path, headers={"Host": "evil.example"})
    assert response.status == 421
    assert await response.text() == (
        "the proxy does not go by the name 'evil.example'; "
        "if it should, start it with --hostname evil.example"
    )


@pytest.mark.parametrize("host", ["localhost:1", "app.localhost", "proxy.example", "[::1]:8765"])
async def test_the_proxys_own_names_are_served(serve, host):
    client = await serve(Config(hostnames=("proxy.example",)))
    assert (await client.get("/healthz", headers={"Host": host})).status == 200


async def test_a_websocket_for_a_rebound_name_is_refused(serve):
    client = await serve()
    with pytest.raises(aiohttp.WSServerHandshakeError, match="421"):
        await client.ws_connect("/pynet", headers={"Host": "evil.example"})


async def test_only_pages_that_may_connect_may_read(serve):
    client = await serve(Config(origins=("https://school.example",)))
    for origin, shared in [
        ("https://school.example", True),
        (f"http://{client.host}:{client.port}", True),
        ("https://evil.example", False),
        ("null", False),
    ]:
        response = await client.get("/dist/latest", headers={"Origin": origin})
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if shared else None)
        assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in (await client.get("/dist/latest")).headers


# ── What is served ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_front_door_leads_to_the_demo_and_keeps_the_token(serve):
    client = await serve()
    response = await client.get("/?token=s3cret", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/demo/?token=s3cret")
    response = await client.get("/demo/?token=s3cret")
    assert response.content_type == "text/html"
    assert await response.text() == "<!doctype html>the demo"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/demo/", "text/html"),
        ("/demo/index.html", "text/html"),
        ("/demo/main.mjs", "text/javascript"),
        ("/demo/style.css", "text/css"),
        ("/pyodide/pyodide.asm.wasm", "application/wasm"),
        ("/pyodide/micropip.whl", "application/zip"),
        (f"/dist/{WHEEL}", "application/zip"),
        ("/demo/services.json", "application/json"),
    ],
)
async def test_files_have_their_type_and_are_safe_to_open(serve, path, media_type):
    response = await (await serve()).get(path)
    assert response.status == 200
    assert response.content_type == media_type
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/demo/../secret.txt",
        "/demo/%2e%2e/secret.txt",
        "/demo/..%2fsecret.txt",
        "/dist/../secret.txt",
        "/dist/..%2fsecret.txt",
        "/pyodide/%2e%2e/secret.txt",
        "/demo/nothing.js",
    ],
)
async def test_nothing_else_is_served(serve, path):
    client = await serve()
    url = URL(f"http://{client.host}:{client.port}{path}", encoded=True)
    assert (await client.session.get(url)).status in {403, 404}


async def test_the_latest_wheel_is_named_and_served(serve):
    client = await serve()
    latest = await (await client.get("/dist/latest")).json()
    assert latest == {"name": WHEEL, "url": WHEEL}
    assert await (await client.get(f"/dist/{latest['url']}")).read() == b"the wheel"
    assert (await client.get("/dist/other-1.0-py3-none-any.whl")).status == 404


async def test_a_wheel_that_was_not_built_says_how(serve, tmp_path):
    client = await serve(assets=Assets(demo=None, pyodide=None, dist=tmp_path))
    response = await client.get("/dist/latest")
    assert response.status == 404
    assert "make wheel" in await response.text()


async def test_without_demo_pyodide_and_jupyterlite_there_is_none_of_them(serve, tmp_path):
    client = await serve(assets=Assets(demo=None, pyodide=None, dist=tmp_path))
    for path in ["/", "/demo/", "/demo/services.json", "/pyodide/pyodide.mjs", "/jupyterlite/"]:
        assert (await client.get(path)).status == 404


@pytest.mark.parametrize(
    ("asked", "led_to", "content"),
    [
        ("/jupyterlite", "/jupyterlite/", "the root"),
        ("/jupyterlite/", "/jupyterlite/", "the root"),
        ("/jupyterlite/doc/tree?path=a%20b", "/jupyterlite/doc/tree/?path=a%20b", "the tree"),
        ("/jupyterlite/doc/tree/index.html", "/jupyterlite/doc/tree/index.html", "the tree"),
        ("/jupyterlite/doc/all.json", "/jupyterlite/doc/all.json", "{}"),
    ],
)
async def test_folders_of_the_jupyterlite_site_show_their_pages(serve, tmp_path, asked, led_to, content):
    site = tmp_path / "site"
    (site / "doc" / "tree").mkdir(parents=True)
    (site / "index.html").write_text("the root")
    (site / "doc" / "tree" / "index.html").write_text("the tree")
    (site / "doc" / "all.json").write_text("{}")
    client = await serve(assets=Assets(demo=None, pyodide=None, dist=None, jupyterlite=site))
    response = await client.get(URL(asked, encoded=True))
    assert response.url.raw_path_qs == led_to
    assert await response.text() == content
    for path in [
        "/jupyterlite/doc",
        "/jupyterlite/doc/",
        "/jupyterlite/doc%2ftree%2f..%2f..%2f..%2fsecret.txt",
    ]:
        assert (await client.get(URL(path, encoded=True))).status in {403, 404}


# ── The demo's services ───────────────────────────────────────────────────────────────────────────────────


async def test_the_services_are_announced_and_reachable_even_on_a_public_proxy(serve):
    client = await serve(Config(host="0.0.0.0"))
    services = await (await client.get("/demo/services.json")).json()
    assert services.keys() == {"echo", "udp_echo", "clock", "http"}
    policy = client.app[POLICY]
    for name, address in services.items():
        transport = "udp" if name == "udp_echo" else "tcp"
        assert policy.decide(transport, address["host"], address["host"], address["port"]).allowed
        assert not policy.decide(transport, address["host"], address["host"], 1).allowed


# ── Logs and the end ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_log_has_a_line_for_each_request_and_never_the_token(serve, caplog):
    caplog.set_level(logging.DEBUG)
    client = await serve()
    await client.get("/demo/?token=s3cret")
    await client.get("/nowhere?token=s3cret")
    await client.get("/a%0Ab?token=s3cret")
    socket = await client.ws_connect("/pynet?token=s3cret")
    await socket.close()
    await client.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "pynet_browser.access"]
    assert [line.split()[1:4] for line in lines] == [
        ["GET", "/demo/", "200"],
        ["GET", "/nowhere", "404"],
        ["GET", "/a%0Ab", "404"],
        ["GET", "/pynet", "101"],
    ]
    assert "s3cret" not in caplog.text


async def test_sessions_are_closed_when_the_proxy_stops(serve, monkeypatch):
    closed = []
    client = await serve()
    sessions = client.app[SESSIONS]
    close = sessions.close

    async def recording_close() -> None:
        closed.append(sessions)
        await close()

    monkeypatch.setattr(sessions, "close", recording_close)
    await client.close()
    assert closed == [sessions]
