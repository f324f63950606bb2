"""HTTP in the page: the browser's own, and the proxy's where the browser may not. See docs/http.md."""

from __future__ import annotations

from pynet_browser.http.fetching import fetch, fetch_sync
from pynet_browser.http.response import Response, SyncResponse
from pynet_browser.http.storage import Storage
from pynet_browser.http.urllib import PageHandler, UrlResponse, urlopen
from pynet_browser.http.wget import Download, async_wget, async_wget_data, wget, wget_data
from pynet_browser.http.xhr import XMLHttpRequest, xhr

__all__ = [
    "Download",
    "PageHandler",
    "Response",
    "Storage",
    "SyncResponse",
    "UrlResponse",
    "XMLHttpRequest",
    "async_wget",
    "async_wget_data",
    "fetch",
    "fetch_sync",
    "urlopen",
    "wget",
    "wget_data",
    "xhr",
]
