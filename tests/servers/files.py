"""FTP."""

from __future__ import annotations

import socket
import sys

from tests.peers import pattern
from tests.servers.process import ServerProcess


class FtpServer(ServerProcess):
    """pyftpdlib; one user may read and write ``root``, which holds hello.txt and large.bin.

    Attributes:
        login: The user's name.
        password: The user's password.
        root: The directory it serves.
    """

    LARGE = 3_000_001  # odd, so that it is no multiple of any buffer

    def __init__(self) -> None:
        super().__init__()
        self.login = "pynet"
        self.password = "browser"
        self.root = self.directory / "files"

    def prepare(self) -> None:
        self.root.mkdir()
        (self.root / "hello.txt").write_text("hello from the FTP server\n")
        (self.root / "large.bin").write_bytes(pattern(self.LARGE))

    def command(self) -> list[str]:
        where = ["--interface", self.host, "--port", str(self.port), "--directory", str(self.root)]
        who = ["--username", self.login, "--password", self.password, "--write"]
        return [sys.executable, "-m", "pyftpdlib", *where, *who]

    def answers(self) -> bool:
        with socket.create_connection(self.address, timeout=1) as connection:
            return connection.recv(3) == b"220"
