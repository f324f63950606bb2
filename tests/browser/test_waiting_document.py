"""The example of docs/waiting.md is a program that runs, and waits in either way."""

from __future__ import annotations

import re

import pytest

from tests.servers import ROOT


@pytest.mark.parametrize(
    ("suspends", "why"), [(True, "suspend Python (JSPI)"), (False, "wait by synchronous requests")]
)
def test_the_example_runs_as_it_stands(open_python, proxy, redis_server, suspends, why):
    text = (ROOT / "docs" / "waiting.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    # Only what is different on every machine is put in: where things are.
    for there, here in {
        "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
        "6379": str(redis_server.port),
    }.items():
        assert there in example
        example = example.replace(there, here)
    page = open_python(install=False, suspends=suspends)
    page.run(example)
    printed = "\n".join(page.console)
    assert "+PONG" in printed
    assert why in printed
