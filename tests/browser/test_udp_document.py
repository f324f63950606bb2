"""The example of docs/udp.md is a program that runs."""

from __future__ import annotations

import re

from tests.peers import DatagramEcho
from tests.servers import ROOT

UNTIL_OPEN = """
import asyncio, pynet_browser
async with asyncio.timeout(25):
    while pynet_browser.status().udp != "webrtc":
        await asyncio.sleep(0.02)
"""


def test_the_example_runs_as_it_stands(open_python, proxy):
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "udp.md").read_text("utf-8"), re.DOTALL)
    address, host, patience = "http://127.0.0.1:8765/?token=…", '("127.0.0.1", 7)', "settimeout(1)"
    assert address in example
    assert host in example
    assert patience in example
    page = open_python(install=False)
    with DatagramEcho() as echo:
        example = example.replace(address, f"{proxy.url}/?token={proxy.token}")
        example = example.replace(patience, "settimeout(20)")
        page.run(example.replace(host, repr(echo.address)))
        told = [line for line in page.console if "ms over" in line]
        assert len(told) == 15
        assert "session" in told[0]
        page.run(UNTIL_OPEN)
