"""The examples of docs/http.md and docs/websocket.md are programs that run."""

from __future__ import annotations

import re

from tests.servers import ROOT
from tests.web_site import WebSite
from tests.websocket_site import WebSocketSite


def example(document: str) -> str:
    text = (ROOT / "docs" / document).read_text("utf-8")
    [found] = re.finditer(r"```python\n(.*?)```", text, re.DOTALL)
    return found[1]


def test_the_example_for_http_runs_as_it_stands(open_python, proxy):
    source = example("http.md")
    page = open_python(install=False)
    with WebSite(cors=False) as site:
        for there, here in {
            "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
            "http://example.com/": f"{site.url}/",
        }.items():
            assert there in source
            source = source.replace(there, here)
        page.run(source)
    printed = "\n".join(page.console)
    assert "200 via proxy hello from the HTTP server" in printed
    assert "b'hello from the HTTP server\\n'" in printed
    assert page.run("open('page.html').read()") == "hello from the HTTP server\n"


def test_the_example_for_websockets_runs_as_it_stands(open_python):
    page = open_python(install=False)
    with WebSocketSite() as server:
        page.run(example("websocket.md").replace("ws://127.0.0.1:8000", server.url))
    printed = "\n".join(page.console)
    assert "Grüße" in printed
    assert "b'\\x00\\xff'" in printed
