"""HTTPS: what the proxy makes, which checks certificates, and bodies that go out as they come into being."""

from __future__ import annotations

import hashlib
import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.driven import DrivenBrowser
from tests.page_python import PageError, PagePython
from tests.servers import ROOT, ProxyProcess, ServerProcess
from tests.web_site import WebSite


class Http2Site(ServerProcess):
    """The site of ``tests/http2_site.js``."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        super().__init__()
        self._certificate = certificate
        self.url = f"https://{self.host}:{self.port}"

    def prepare(self) -> None:
        self._certificate.cert_chain_pems[0].write_to_path(str(self.directory / "certificate.pem"))
        self._certificate.private_key_pem.write_to_path(str(self.directory / "key.pem"))

    def command(self) -> list[str]:
        node = shutil.which("node") or "node"
        return [node, str(ROOT / "tests/http2_site.js"), str(self.port), "certificate.pem", "key.pem"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def site(certificate: trustme.LeafCert) -> Iterator[WebSite]:
    """Speaks HTTP/1.1, and lets every page read its answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with WebSite(cors=True, tls=context) as site:
        yield site


@pytest.fixture(scope="module")
def http2_site(certificate: trustme.LeafCert) -> Iterator[Http2Site]:
    with Http2Site(certificate) as site:
        yield site


# ── By the proxy ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trusting(
    authority: trustme.CA, start_proxy: Callable[..., ProxyProcess], tmp_path_factory: pytest.TempPathFactory
) -> ProxyProcess:
    """A proxy on a machine that trusts the authority."""
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(roots))
        return start_proxy()


def test_the_proxy_makes_what_a_browser_cannot(open_python, trusting, site):
    """The browser does not trust the authority; that is no different to a page from any other failure."""
    page = open_python(trusting)
    source = """
        from pynet_browser.http import fetch
        from urllib.request import Request, urlopen
        response = await fetch(url + "/")
        told = [response.status, response.via, await response.text()]
        asked = Request(url + "/echo", b"abc", {"Cookie": "a=b"})
        with urlopen(asked) as answer:
            import json
            echo = json.load(answer)
        [*told, answer.via, echo["headers"]["cookie"], echo["size"]]
    """
    hello = "hello from the HTTP server\n"
    assert page.run(source, url=site.url) == [200, "proxy", hello, "proxy", "a=b", 3]


def test_the_proxy_checks_certificates(python, site):
    with pytest.raises(PageError) as caught:
        python.run("from pynet_browser.http import fetch; await fetch(url, via='proxy')", url=site.url)
    assert caught.value.errno == "EPROTO"
    assert "certificate verify failed" in caught.value.message


# ── Piece by piece ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def page(proxy: ProxyProcess, wheel: Path) -> Iterator[PagePython]:
    """Python in a browser that asks nobody about certificates."""
    with DrivenBrowser("Chromium", "--ignore-certificate-errors") as browser:
        page = PagePython(browser, f"{proxy.url}/healthz")
        page.run("import micropip; await micropip.install(wheel)", wheel=f"{proxy.url}/dist/{wheel.name}")
        yield page


def test_a_body_goes_out_while_it_comes_into_being(page, http2_site):
    source = """
        import asyncio, json
        from pynet_browser.http import fetch
        asked, told = [], []

        async def seen():
            return int(await (await fetch(url + "/seen")).text())

        async def pieces():
            before = await seen()
            for size in (1000, 70_000, 3):
                yield bytes(size)
                while await seen() < before + size:  # nothing more is given before this has arrived
                    await asyncio.sleep(0.01)
                before += size
                asked.append(size)

        async with asyncio.timeout(20):
            answer = await fetch(
                url + "/echo", method="POST", body=pieces(), on_upload=lambda *sent: told.append(sent)
            )
        [asked, told, (await answer.json())["bytes"]]
    """
    sent = [[1000, None], [71_000, None], [71_003, None]]
    assert page.run(source, url=http2_site.url) == [[1000, 70_000, 3], sent, 71_003]


def test_much_goes_out_piece_by_piece(page, http2_site):
    source = """
        from pynet_browser.http import fetch
        def pieces():
            for _ in range(400):
                yield bytes(50_000)
        answer = await fetch(url + "/echo", method="POST", body=pieces())
        (await answer.json())["bytes"]
    """
    assert page.run(source, url=http2_site.url) == 20_000_000


def test_what_a_source_raises_is_raised(page, http2_site):
    source = """
        from pynet_browser.http import fetch
        async def pieces():
            yield b"some"
            raise KeyError("no more")
        try:
            await fetch(url + "/echo", method="POST", body=pieces())
        except KeyError as error:
            told = str(error)
        told
    """
    assert page.run(source, url=http2_site.url) == "'no more'"


def test_where_it_cannot_it_goes_out_whole_and_is_had_once(page, site):
    source = """
        from pynet_browser.http import fetch, fetch_sync
        begun = []
        async def pieces():
            begun.append(1)
            for size in (1000, 0, 70_000):
                yield b"x" * size
        def ordinary():
            begun.append(2)
            yield b"abc"
            yield bytearray(b"def")
        with open("/tmp/body", "wb") as file:
            file.write(b"y" * 200_000)
        told = [await (await fetch(url + "/echo", method="POST", body=pieces())).json()]
        told.append(fetch_sync(url + "/echo", method="PUT", body=ordinary()).json())
        told.append(fetch_sync(url + "/echo", method="POST", body=pieces()).json())
        with open("/tmp/body", "rb") as file:
            told.append(await (await fetch(url + "/echo", method="POST", body=file)).json())
        [begun, [[each["method"], each["size"], each["sha256"]] for each in told]]
    """
    digest = {text: hashlib.sha256(text * n).hexdigest() for text, n in {b"x": 71_000, b"y": 200_000}.items()}
    assert page.run(source, url=site.url) == [
        [1, 2, 1],
        [
            ["POST", 71_000, digest[b"x"]],
            ["PUT", 6, hashlib.sha256(b"abcdef").hexdigest()],
            ["POST", 71_000, digest[b"x"]],
            ["POST", 200_000, digest[b"y"]],
        ],
    ]
