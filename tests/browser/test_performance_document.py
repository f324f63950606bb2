"""The example of docs/performance.md is a program that runs."""

from __future__ import annotations

import re

from tests.servers import ROOT


def test_the_example_runs_as_it_stands(open_python, proxy, redis_server):
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for there, here in {
        "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
        "6379": str(redis_server.port),
    }.items():
        assert there in example
        example = example.replace(there, here)
    page = open_python(install=False)
    page.run(example)
    printed = "\n".join(page.console)
    assert "+PONG" in printed
    assert re.search(r"after [0-9.]+ ms", printed)
