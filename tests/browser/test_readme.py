"""The README's example is a program that runs."""

from __future__ import annotations

import re

from tests.servers import ROOT


def test_the_notebook_example_runs_as_it_stands(open_python, proxy, redis_server, wheel):
    readme = (ROOT / "README.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    # Only what is different on every machine is put in: where things are.
    for there, here in {
        '"pynet-browser"': f'"{proxy.url}/dist/{wheel.name}"',
        "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
        "6379": str(redis_server.port),
    }.items():
        assert there in example
        example = example.replace(there, here)
    page = open_python(install=False)
    page.run(example, timeout=60)
    assert page.console[-1].endswith("hello from a browser")
