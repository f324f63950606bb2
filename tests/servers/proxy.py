"""Our proxy."""

from __future__ import annotations

import re
import secrets
import sys

from tests.servers.process import ROOT, ServerProcess


class ProxyProcess(ServerProcess):
    """Our proxy, started from the checkout as a user starts it, on a port it chooses.

    Attributes:
        token: What a page must present.
        url: Where it serves pages.
        ws_url: What `pynet_browser.install` wants.
    """

    def __init__(self, *arguments: str) -> None:
        """``arguments`` go to ``serve.py`` after a made-up port and token, which they may override."""
        super().__init__()
        self.token = secrets.token_urlsafe(16)
        self._arguments = ["--port", "0", f"--token={self.token}", *arguments]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}/pynet"

    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "serve.py"), *self._arguments]

    def answers(self) -> bool:
        printed = re.search(rf"http://{re.escape(self.host)}:(\d+)/(?:\?token=(\S+))?", self.log())
        if printed is None:
            return False
        self.port, self.token = int(printed[1]), printed[2] or ""
        return super().answers()
