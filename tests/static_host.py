"""A plain web server for static pages, on an origin that is not the proxy's."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers of pages that share memory with their workers."""


class StaticHost:
    """A directory, as Python's own web server shows it; used with ``with``.

    Attributes:
        url: its origin.
    """

    def __init__(self, directory: Path, headers: Mapping[str, str] | None = None) -> None:
        """``headers`` go with every answer."""
        added = dict(headers or {})

        class Handler(SimpleHTTPRequestHandler):
            def end_headers(self) -> None:
                for name, value in added.items():
                    self.send_header(name, value)
                super().end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        handler = functools.partial(Handler, directory=str(directory))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True  # a kept-alive connection does not delay the end
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
