"""Real servers for tests: private instances on free loopback ports, in directories of their own.

Each is used with ``with``: it answers when the block begins, and its process is gone when the block ends.
A server is stopped through the handle of its own process, never by name, so that instances which run for
other purposes are safe.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pg8000.dbapi
from aiosmtpd.controller import Controller

from tests.machine import find_postgresql, find_redis
from tests.peers import pattern

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0


class ServerError(Exception):
    """A server is not installed, does not start, or does not answer."""


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class ServerProcess:
    """A server program in a child process with a temporary directory.

    Subclasses give its command line and a question it must answer before the block begins.

    Attributes:
        host: The address it listens on.
        port: Its port.
        directory: Its temporary directory, removed at the end.
    """

    stop_signal = signal.SIGTERM
    user: str | None = None  # runs as this user

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        # Not pytest's directory: a server that runs as another user could not reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="pynet-test-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """What ``connect`` wants."""
        return self.host, self.port

    def prepare(self) -> None:
        """Fills the directory before the program starts."""

    def command(self) -> list[str]:
        """The command line of the program."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it works; may raise OSError meanwhile."""
        with socket.create_connection(self.address, timeout=1):
            return True

    def __enter__(self) -> Self:
        try:
            if self.user is not None:
                shutil.chown(self.directory, self.user)
            self.prepare()
            with (self.directory / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    self.command(),
                    cwd=self.directory,
                    user=self.user,
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},  # the log is read while it is written
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self._wait_for_answer(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process, with force if it must be, and removes the directory."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """Ends the process as a crash would: it does nothing more, not even close its connections itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What the program has printed."""
        return (self.directory / "log").read_text(errors="replace")

    def _wait_for_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if self.answers():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        msg = f"{type(self).__name__} does not answer at {self.host}:{self.port}; it printed:\n{self.log()}"
        raise ServerError(msg)


def required(find: Callable[[], str | None], capability: str) -> str:
    """What ``find`` finds, or an error that says how to get it."""
    path = find()
    if path is None:
        msg = f"{capability} is not installed: run `python tests/machine.py {capability}`"
        raise ServerError(msg)
    return path


class RedisServer(ServerProcess):
    """redis-server, in memory only."""

    def command(self) -> list[str]:
        program = required(find_redis, "redis")
        return [program, "--bind", self.host, "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with socket.create_connection(self.address, timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"


class PostgresServer(ServerProcess):
    """PostgreSQL with one superuser, who logs in with a password (SCRAM-SHA-256).

    Attributes:
        database: The name of its database.
        login: The user's name.
        password: The user's password.
    """

    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for clients to leave

    def __init__(self) -> None:
        super().__init__()
        self.database = "postgres"
        self.login = "pynet"
        self.password = "browser"
        # It refuses to run as root; Debian's package brings a user for it.
        self.user = "postgres" if os.geteuid() == 0 else None
        self._programs = Path(required(find_postgresql, "postgresql"))

    def prepare(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        if self.user is not None:
            shutil.chown(password_file, self.user)
        options = ["--pgdata=data", "--auth=scram-sha-256", f"--username={self.login}", "--no-sync"]
        options += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        created = subprocess.run(
            [self._programs / "initdb", *options],
            cwd=self.directory,
            user=self.user,
            capture_output=True,
            text=True,
            check=False,
        )
        if created.returncode != 0:
            msg = f"initdb failed:\n{created.stdout}{created.stderr}"
            raise ServerError(msg)

    def command(self) -> list[str]:
        settings = [
            "fsync=off",
            f"listen_addresses={self.host}",
            f"port={self.port}",
            "unix_socket_directories=",
        ]
        options = [f"--{setting}" for setting in settings]
        return [str(self._programs / "postgres"), "-D", "data", *options]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (pg8000.dbapi.InterfaceError, pg8000.dbapi.DatabaseError):
            return False  # "the database system is starting up"
        return True

    def connect(self) -> Any:
        """A connection from this process (pg8000, DB-API)."""
        return pg8000.dbapi.connect(
            self.login,
            host=self.host,
            port=self.port,
            password=self.password,
            database=self.database,
            timeout=5,
        )


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


@dataclass(frozen=True)
class ReceivedMail:
    """One message as the SMTP server took it."""

    sender: str
    recipients: list[str]
    content: bytes


class SmtpServer:
    """aiosmtpd in a thread of this process; keeps what it receives in ``messages``.

    Attributes:
        messages: The messages in order of arrival.
    """

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.messages: list[ReceivedMail] = []
        self._controller = Controller(self, hostname=self.host, port=self.port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Takes one message."""
        self.messages.append(ReceivedMail(envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 Message accepted for delivery"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
