"""The example of docs/tls.md is a program that runs, wherever TLS ends."""

from __future__ import annotations

import re

import pytest

from tests.browser.engine import distribution
from tests.servers import ROOT
from tests.servers.tls import HttpsServer


@pytest.mark.parametrize("side", ["page", "proxy"])
def test_the_example_runs_as_it_stands(open_python, start_proxy, authority, side):
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tls.md").read_text("utf-8"), re.DOTALL)
    assert len(list(filter(None, example.splitlines()))) <= 10
    proxy = start_proxy("--tls-proxy") if side == "proxy" else start_proxy("--pyodide", str(distribution()))
    with HttpsServer(authority.good) as server:
        # Only what is different on every machine is put in, and the mode that this is about.
        for there, here in {
            "http://127.0.0.1:8765/?token=…": f"{proxy.url}/?token={proxy.token}",
            "8443": str(server.port),
            'tls="page"': f'tls="{side}"',
        }.items():
            assert there in example
            example = example.replace(there, here)
        page = open_python(proxy, install=False)
        page.run("from pathlib import Path; Path('ca.pem').write_text(ca); None", ca=authority.root.pem)
        page.run(example, timeout=60)
    printed = "\n".join(page.console)
    assert f"TLSv1.3 ends in: {side}" in printed
    assert "b'/ for nobody'" in printed
