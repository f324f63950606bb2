"""A server program in a child process: how it is started, asked whether it works, and stopped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
FIRST_EPHEMERAL_PORT = 32_768  # on Linux; others begin later


class ServerError(Exception):
    """A server is not installed, does not start, or does not answer."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has now at a loopback address, for TCP and UDP.

    A server may take a second to bind it. So it is none of those that the system gives to connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(20_000, FIRST_EPHEMERAL_PORT)
        with (
            socket.socket(family, socket.SOCK_STREAM) as stream,
            socket.socket(family, socket.SOCK_DGRAM) as datagrams,
            suppress(OSError),
        ):
            stream.bind((host, port))
            datagrams.bind((host, port))
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

    def tell_to_stop(self) -> None:
        """Sends the signal that ends the process, and does not wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)

    def hang_up(self) -> None:
        """Send SIGHUP, at which servers read their files anew."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def status(self, timeout: float) -> int:
        """The exit status of the process, which must end in time.

        Raises:
            subprocess.TimeoutExpired: It has not ended after ``timeout`` seconds.
        """
        assert self._process is not None
        return self._process.wait(timeout)

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
