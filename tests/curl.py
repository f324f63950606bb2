"""curl, as a client of the servers in pages."""

from __future__ import annotations

import subprocess

from tests.machine import find_curl
from tests.servers import required

REPORT = ["--write-out", r"%{http_code} %{num_connects} %{size_download}\n", "--output"]
"""For each transfer of one curl: its status, the connections made for it, its size. Then comes a file."""


def curl(*arguments: str) -> list[str]:
    """Runs it, unconfigured; returns the lines that it has written out."""
    run = subprocess.run(
        [required(find_curl, "curl"), "--disable", "--silent", "--show-error", *arguments],
        env={},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
