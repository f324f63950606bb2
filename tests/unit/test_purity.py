"""The core does no I/O and knows no clock: that is what makes it testable, and the same on both sides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.unit.vectors import ROOT

PURE_PYTHON = [
    "address",
    "wire",
    "frames/__init__",
    "frames/base",
    "frames/channel",
    "frames/http",
    "frames/questions",
    "frames/session",
    "frames/sockets",
    "frames/tls",
    "fields",
    "link",
    "window",
    "keepalive",
    "errors",
    "findings",
    "diagnosis",
    "settings",
    "signalling",
    "proxy/compat/arrival",
    "proxy/compat/posix_calls",
    "proxy/compat/posix_errno",
    "proxy/compat/wisp_packets",
    "proxy/limits",
    "proxy/tcp_states",
    "proxy/rooms",
    "http/redirects",
    "http/outgoing",
    "http/request",
    "http/route",
    "http/transport",
    "tls/addresses",
    "tls/constants",
    "tls/hello",
    "tls/records",
    "webrtc/exceptions",
    "websocket/exceptions",
]
IMPURE_MODULES = {"socket", "asyncio", "js", "pyodide", "time", "threading", "select"}

PURE_JAVASCRIPT = [
    "wire",
    "layouts",
    "fields",
    "link",
    "window",
    "keepalive",
    "attempts",
    "bulk",
    "errors",
    "queue",
    "names",
    "endpoint",
    "socket",
    "listener",
    "datagram",
    "places",
    "local",
    "session",
    "path",
    "channel-description",
    "gateways/wisp-packets",
    "gateways/wisp",
    "gateways/websockify",
    "gateways/network",
    "gateways/flow",
    "gateways/datagrams",
]
IMPURE_NAMES = [
    "WebSocket",
    "fetch",
    "XMLHttpRequest",
    "setTimeout",
    "setInterval",
    "queueMicrotask",
    "Date.now",
    "performance",
    "globalThis",
    "document",
    "window",
]

COMMENT_OR_STRING = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.DOTALL | re.VERBOSE
)

TEMPLATE = re.compile(r"`(?:\\.|[^`\\])*`")
EXPRESSION = re.compile(r"\$\{([^}]*)\}")


def imports_of(source: str) -> Iterator[str]:
    """Modules imported anywhere in a Python source, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def globals_of(source: str) -> set[str]:
    """Those of IMPURE_NAMES that a JavaScript source uses, not as the name of a property or of a key."""
    code = COMMENT_OR_STRING.sub('""', source)
    code = TEMPLATE.sub(lambda template: ";".join(EXPRESSION.findall(template[0])), code)
    return {
        name for name in IMPURE_NAMES if re.search(rf"(?<![\w.#$]){re.escape(name)}(?![\w$])(?!\s*:)", code)
    }


@pytest.mark.parametrize("name", PURE_PYTHON)
def test_a_pure_python_module_imports_nothing_that_does_io_or_tells_time(name):
    modules = set(imports_of((ROOT / "pynet_browser" / f"{name}.py").read_text("utf-8")))
    assert not {module.partition(".")[0] for module in modules} & IMPURE_MODULES
    ours = {module for module in modules if module.startswith(("pynet_browser", "."))}
    pure = {each.removesuffix("/__init__").replace("/", ".") for each in PURE_PYTHON}
    assert ours <= {f"pynet_browser.{each}" for each in pure}


@pytest.mark.parametrize("name", PURE_JAVASCRIPT)
def test_a_pure_javascript_module_mentions_nothing_that_does_io_or_tells_time(name):
    source = (ROOT / "js" / f"{name}.js").read_text("utf-8")
    assert globals_of(source) == set()
    folder = (ROOT / "js" / name).parent
    imported = re.findall(r'(?:from|import) "(\.\S+)\.js"', source)
    assert {str((folder / each).resolve().relative_to(ROOT / "js")) for each in imported} <= set(
        PURE_JAVASCRIPT
    )


def test_an_impure_python_module_is_told_from_a_pure_one():
    source = "import os.path\ndef later():\n    import time\n    from asyncio import sleep\n"
    assert list(imports_of(source)) == ["os.path", "time", "asyncio"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("new WebSocket(url)", {"WebSocket"}),
        ("const now = () => performance.now();", {"performance"}),
        ("return Date.now() + window.innerWidth;", {"Date.now", "window"}),
        ("later(queueMicrotask);", {"queueMicrotask"}),
        ("// fetch /* */ \n/* setTimeout(\n) */ say('document')", set()),
        ('import { x } from "./window.js"; frame.window = { window: 1 };', set()),
        ("say(`a window of ${size}`); say(`${document.title}`);", {"document"}),
        ("this.#fetch(); prefetch(); openWebSocket(url);", set()),
    ],
)
def test_an_impure_javascript_module_is_told_from_a_pure_one(source, found):
    assert globals_of(source) == found
