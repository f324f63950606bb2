"""The proxy as a process of its own, started from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.proxy.client import Page

__all__ = ["ENVIRONMENT", "ROOT", "Proxy", "running"]

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYNET_TOKEN"}


class Proxy:
    """The proxy as a process of its own.

    Attributes:
        process: it.
        output: what it printed at its start.
        url: where it serves pages.
        ws_url: where it serves sessions.
        token: what it wants to see; None if nothing.
    """

    def __init__(self, process: asyncio.subprocess.Process, output: str) -> None:
        self.process = process
        self.output = output
        match = re.search(r"http://(\S+?):(\d+)/(?:\?token=(\S+))?$", output, re.MULTILINE)
        assert match, output
        self.host, self.port, self.token = match[1], int(match[2]), match[3]
        self.url = f"http://{self.host}:{self.port}"
        self.ws_url = f"ws://{self.host}:{self.port}/pynet"

    def page(self) -> Page:
        """A page that knows the token."""
        return Page(self.ws_url, self.token)

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout
        return (await self.process.stdout.readline()).decode()

    async def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Sends the signal; returns exit status and seconds taken."""
        start = time.monotonic()
        self.process.send_signal(number)
        status = await asyncio.wait_for(self.process.wait(), 10)
        return status, time.monotonic() - start


@contextlib.asynccontextmanager
async def running(*arguments: str, environment: dict[str, str] | None = None) -> AsyncIterator[Proxy]:
    """The proxy, started with these arguments on a free port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "serve.py", "--port", "0", *arguments,
        cwd=ROOT, env=ENVIRONMENT | (environment or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    try:
        output = ""
        async with asyncio.timeout(20):
            while "Ctrl-C" not in output:
                line = await process.stdout.readline()
                assert line, output + (await process.stderr.read()).decode()
                output += line.decode()
        yield Proxy(process, output)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
