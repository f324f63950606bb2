"""Balancers, with the configurations that the documents show."""

from __future__ import annotations

import socket

from tests.machine import find_haproxy
from tests.servers.process import ROOT, ServerProcess, required

__all__ = ["HAProxy"]


class HAProxy(ServerProcess):
    """HAProxy with docs/haproxy.cfg, in front of two proxies.

    Attributes:
        admin: where it takes commands.
    """

    def __init__(self, one: tuple[str, int], two: tuple[str, int]) -> None:
        super().__init__()
        self.admin = self.directory / "admin.sock"
        self._environment = {
            "PYNET_BIND": f"{self.host}:{self.port}",
            "PYNET_ADMIN": str(self.admin),
            "PYNET_ONE": "{}:{}".format(*one),
            "PYNET_TWO": "{}:{}".format(*two),
        }

    def command(self) -> list[str]:
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        program = required(find_haproxy, "haproxy")
        return ["env", *variables, program, "-db", "-f", str(ROOT / "docs" / "haproxy.cfg")]

    def answers(self) -> bool:
        # It renames the socket for commands into place after its port is open.
        return self.admin.exists() and super().answers()

    def tell(self, command: str) -> str:
        """What it answers to a command."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(5)
            admin.connect(str(self.admin))
            admin.sendall(f"{command}\n".encode())
            pieces = []
            while piece := admin.recv(65536):
                pieces.append(piece)
            return b"".join(pieces).decode()

    def placed(self) -> dict[str, str]:
        """At which proxy each key is."""
        entries = [line.split() for line in self.tell("show table proxies").splitlines() if "key=" in line]
        fields = [dict(part.split("=", 1) for part in entry if "=" in part) for entry in entries]
        names = {"1": "one", "2": "two"}
        return {each["key"]: each.get("server_name", names.get(each["server_id"], "")) for each in fields}
