"""Servers that others wrote, and that our sockets can use: wisp-js and websockify."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from tests.servers.process import ROOT, ServerProcess

WISP_JS = ROOT / "js" / "node_modules" / "@mercuryworkshop" / "wisp-js" / "src" / "bin" / "server_cli.mjs"


class WispJs(ServerProcess):
    """wisp-js, which speaks both versions of Wisp."""

    def command(self) -> list[str]:
        options = ["--logging", "NONE", "--options", json.dumps({"allow_loopback_ips": True})]
        return ["node", str(WISP_JS), "--host", self.host, "--port", str(self.port), *options]

    @property
    def url(self) -> str:
        """What ``install`` wants."""
        return f"wisp://{self.host}:{self.port}/"


class Websockify(ServerProcess):
    """The websockify of noVNC, with a file of targets that clients name: ``HOST-PORT``."""

    def __init__(self, targets: Iterable[tuple[str, int]]) -> None:
        super().__init__()
        self._targets = list(targets)

    def prepare(self) -> None:
        lines = [f"{host}-{port}: {host}:{port}\n" for host, port in self._targets]
        (self.directory / "targets").write_text("".join(lines))

    def command(self) -> list[str]:
        targets = ["--token-plugin=ReadOnlyTokenFile", f"--token-source={self.directory / 'targets'}"]
        return [sys.executable, "-m", "websockify", *targets, f"{self.host}:{self.port}"]

    @property
    def url(self) -> str:
        """What ``install`` wants."""
        return f"websockify://{self.host}:{self.port}/?token={{host}}-{{port}}"
