"""The example of docs/sockets.md is a program that runs."""

from __future__ import annotations

import re

from tests.servers import ROOT


def test_the_example_runs_as_it_stands(open_python, listening_proxy):
    [example] = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "sockets.md").read_text("utf-8"), re.DOTALL
    )
    address = "http://127.0.0.1:8765/?token=…"
    assert address in example
    page = open_python(listening_proxy, install=False)
    page.run(example.replace(address, f"{listening_proxy.url}/?token={listening_proxy.token}"))
    assert "HELLO FROM A SERVER IN A BROWSER" in page.console[-1]
