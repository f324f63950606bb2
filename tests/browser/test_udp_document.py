"""The example of docs/udp.md is a program that runs."""

from __future__ import annotations

import re

from tests.peers import DatagramEcho
from tests.servers import ROOT


def test_the_example_runs_as_it_stands(open_python, proxy):
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "udp.md").read_text("utf-8"), re.DOTALL)
    address, host = "http://127.0.0.1:8765/?token=…", '("127.0.0.1", 7)'
    assert address in example
    assert host in example
    page = open_python(install=False)
    with DatagramEcho() as echo:
        example = example.replace(address, f"{proxy.url}/?token={proxy.token}")
        page.run(example.replace(host, repr(echo.address)))
    told = [line for line in page.console if "ms over" in line]
    assert "session" in told[0]
    assert "webrtc" in told[-1]
