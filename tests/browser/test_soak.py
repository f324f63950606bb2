"""A few seconds of ``make soak``: everything at once, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.servers import ROOT

SOME = ("page: down", "page: listen", "page: datagrams", "page: blocking", "hostile", "wisp", "posix")


def test_everything_at_once_loses_nothing(wheel, tmp_path):
    command = [sys.executable, "bench/soak.py", "--minutes", "0.1", f"--output={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, timeout=100, capture_output=True, text=True, check=False)
    text = (tmp_path / "soak.md").read_text()
    assert "\n0 failures, 0 complaints.\n" in text, done.stdout + done.stderr
    counts = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in text.splitlines() if "|" in row}
    for name in (
        "page: down",
        "page: listen",
        "page: datagrams",
        "page: blocking",
        "hostile",
        "wisp",
        "posix",
    ):
        assert int(counts[name].replace(",", "")) > 0
    assert len(json.loads((tmp_path / "soak.json").read_text())["proxy"]) >= 2
