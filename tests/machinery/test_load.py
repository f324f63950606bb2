"""bench/load.py loses nothing, measures what it says, and fails where something is lost."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.load_tables import AIMS, TITLES, render
from tests.servers import ROOT

SMALL = (
    "--idle=20 --active=6 --sockets=40 --hold=4 --rate=100 --bulk=4 --slow=2 --size=4 --messages=200 "
    "--processes=8"
)


def test_a_small_load_is_measured_and_nothing_is_lost(tmp_path):
    command = [sys.executable, "bench/load.py", *SMALL.split(), "--only=ours", "--only=websockify"]
    done = subprocess.run(
        [*command, f"--output={tmp_path}"], cwd=ROOT, timeout=100, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "load.json").read_text())["found"]
    assert (found["ours"]["lost"], found["ours"]["failures"]) == (0, [])
    assert (found["ours"]["streams"], found["websockify"]["streams"]) == (40, 4)
    assert found["ours"]["load_messages"] > 30
    assert found["ours"]["load_bulk"] > 0
    assert 0 < found["ours"]["load_p50"] <= found["ours"]["load_p99"]
    assert set(TITLES) <= set(found["ours"])
    assert (tmp_path / "load.md").read_text() in done.stdout


def test_a_server_that_is_not_there_is_told():
    done = subprocess.run(
        [sys.executable, "bench/load.py", *SMALL.split(), "--url", "ws://127.0.0.1:9/pynet"],
        cwd=ROOT, timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "127.0.0.1" in done.stderr


def test_ratios_come_first_and_say_what_is_met():
    ours = dict.fromkeys(TITLES, 2.0) | {"lost": 0}
    theirs = dict.fromkeys(TITLES, 4.0) | {"cpu_up": 2.0}
    lines = render({"ours": ours, "websockify": theirs}, {"date": "today"}).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "measure",
        "against",
        "ours",
        "aim",
        "met",
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2 : len(AIMS)]]
    assert ["processor time for a gigabyte down, s", "websockify: 4.00", "0.5 ×", "≤ 0.8 ×", "yes"] in rows
    assert ["processor time for a gigabyte up, s", "websockify: 2.00", "1 ×", "≤ 0.8 ×", "no"] in rows
