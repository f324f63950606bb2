"""Balancers, with the configurations that the documents show."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from tests.machine import find_haproxy, find_nginx
from tests.servers.process import ROOT, STOP_TIMEOUT, ServerProcess, required

__all__ = ["HAProxy", "Nginx"]


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


class Nginx(ServerProcess):
    """nginx with docs/nginx.conf, in front of two proxies.

    Args:
        certificate: PEM of a key and its certificate, for TLS; None speaks without.
    """

    def __init__(self, one: tuple[str, int], two: tuple[str, int], certificate: Path | None = None) -> None:
        super().__init__()
        self._one, self._two, self._certificate = one, two, certificate

    def prepare(self) -> None:
        self.configure()

    def configure(self, *down: str) -> None:
        """Writes the configuration: as it is shipped, but for addresses, and where temporary files lie.

        Args:
            down: the proxies that are out of service, ``"one"`` or ``"two"``.
        """
        listen = f"listen {self.host}:{self.port}"
        if self._certificate:
            listen += f" ssl; ssl_certificate {self._certificate}; ssl_certificate_key {self._certificate}"
        there = {"listen 8080;": f"{listen};", "http {": f"http {{\n{self._folders()}"}
        for name, address, (host, port) in (
            ("one", "10.0.0.1:8765", self._one),
            ("two", "10.0.0.2:8765", self._two),
        ):
            there[f"server {address}"] = f"server {host}:{port}{' down' if name in down else ''}"
        text = (ROOT / "docs" / "nginx.conf").read_text("utf-8")
        for shipped, here in there.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        self._file.write_text(text)

    def reload(self, *down: str) -> None:
        """Has it take proxies out of service; connections that stand go on in its old processes."""
        old = self._workers()
        self.configure(*down)
        self.hang_up()
        deadline = time.monotonic() + STOP_TIMEOUT
        while not (self._workers() - old and all(map(_retired, old))):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _workers(self) -> set[int]:
        assert self._process is not None
        pid = self._process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def check(self) -> str:
        """What nginx thinks of the configuration; empty if it is well."""
        done = subprocess.run([*self.command(), "-t", "-q"], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def command(self) -> list[str]:
        process = f"daemon off; pid {self.directory / 'pid'};"
        return [
            required(find_nginx, "nginx"),
            "-p",
            f"{self.directory}/",
            "-c",
            str(self._file),
            "-g",
            process,
        ]

    @property
    def _file(self) -> Path:
        return self.directory / "nginx.conf"

    def _folders(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "".join(f"{kind}_temp_path {self.directory / kind};\n" for kind in kinds)


def _retired(worker: int) -> bool:
    """Whether a process of nginx takes no new connections, or is gone."""
    try:
        return b"shutting down" in Path(f"/proc/{worker}/cmdline").read_bytes()
    except FileNotFoundError:
        return True
