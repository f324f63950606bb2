"""The example that docs/administration.md begins with is a program that runs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.proxy.client import Page
from tests.proxy.process import ENVIRONMENT, ROOT
from tests.servers.process import free_port

DOCUMENT = (ROOT / "docs" / "administration.md").read_text("utf-8")


@pytest.mark.skipif(not shutil.which("curl"), reason="the example asks with curl")
async def test_the_example_runs_as_it_stands(tmp_path: Path):
    example = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)[0]
    assert len(example.splitlines()) <= 10
    port = free_port()
    # Only the port is another, and the command is that of this checkout.
    command = f"{sys.executable} {ROOT / 'serve.py'}"
    script = example.replace("8765", str(port)).replace("pynet-browser serve", command)
    script += "echo $! >pid; wait\n"
    shell = await asyncio.create_subprocess_exec(
        "sh", "-e", "-c", script,
        cwd=tmp_path, env=ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    pid = tmp_path / "pid"
    try:
        deadline = time.monotonic() + 30
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        async with Page(f"ws://127.0.0.1:{port}/pynet", "the token of ada") as page:
            assert page.welcome
    finally:
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
        output, log = await asyncio.wait_for(shell.communicate(), 20)
    printed = output.decode()
    assert '{"status": "ok"' in printed
    assert 'pynet_token_sessions{token="ada"} 0.0' in printed
    assert "tokens and rules were read anew" in log.decode()
    assert '"event": "session", "decision": "allowed"' in log.decode()


def test_the_table_of_keys_is_that_of_the_file():
    from pynet_browser.proxy import tokens

    for key in (*tokens._READERS, *tokens._LIMIT_READERS):
        assert f"`{key}`" in DOCUMENT
