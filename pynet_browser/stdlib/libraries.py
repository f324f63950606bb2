"""Modules that make HTTP requests, changed when a program imports them."""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from pynet_browser.settings import installed
from pynet_browser.stdlib.importing import patch_when_imported
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.side import speaks_tls

__all__ = ["patch"]


def patch(patches: Patches) -> None:
    """Have them use what ``install(http=…)`` says."""
    patch_when_imported(
        patches,
        {
            "urllib.request": _urllib,
            "urllib3.contrib.emscripten.connection": _urllib3,
            "requests.models": _requests,
        },
    )


def _urllib(patches: Patches, module: Any) -> None:
    sockets = module.HTTPHandler.http_open

    @wraps(sockets)
    def http_open(self: Any, asked: Any) -> Any:
        if installed().http == "proxy":
            return sockets(self, asked)  # a connection of Python's own
        return by_page(self, asked)

    def https_open(self: Any, asked: Any) -> Any:
        if installed().http == "proxy" and speaks_tls():
            return secure_sockets(self, asked)
        return by_page(self, asked)

    def by_page(self: Any, asked: Any) -> Any:
        from pynet_browser.http.urllib import opened

        return opened(self, asked)

    patches.set(module.HTTPHandler, "http_open", http_open)
    if hasattr(module, "HTTPSHandler"):
        secure_sockets = module.HTTPSHandler.https_open
        patches.set(module.HTTPSHandler, "https_open", https_open)


def _urllib3(patches: Patches, module: ModuleType) -> None:
    from pynet_browser.http import urllib3

    urllib3.patch(patches, module)


def _requests(patches: Patches, module: ModuleType) -> None:
    from pynet_browser.http.urllib3 import WHOLE

    if hasattr(module, "CONTENT_CHUNK_SIZE"):
        patches.set(module, "CONTENT_CHUNK_SIZE", WHOLE)
