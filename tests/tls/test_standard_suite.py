"""CPython's own tests of ``ssl``, over our layer."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SHARES = 5
"""Most of the time is spent in waiting for each other's threads."""

BEST_BEFORE = 140
"""What the emulation passed that was tried first, of CPython 3.13's 187 tests."""


@pytest.mark.skipif(
    importlib.util.find_spec("test.test_ssl") is None, reason="this Python comes without its own tests"
)
def test_cpythons_own_tests_pass_but_for_those_that_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gaps = json.loads((HERE / "standard_suite_gaps.json").read_text("utf-8"))
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tls.standard_suite", str(share), str(SHARES)],
            cwd=folder(tmp_path, share),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for share in range(SHARES)
    ]
    said = [process.communicate(timeout=110)[0] for process in running]
    assert [process.returncode for process in running] == [0] * SHARES
    rows = [json.loads(line) for text in said for line in text.splitlines() if line.startswith("[")]
    counts = Counter(kind for _, kind, _ in rows)
    with capsys.disabled():
        sys.stdout.write(f"\ntest_ssl over our layer: {dict(counts)} of {len(rows)}\n")
    broken = {name: text for name, kind, text in rows if kind in ("error", "failure")}
    unexpected = {name: text for name, text in broken.items() if name not in gaps}
    assert not unexpected, "\n".join(f"{name}\n{text}" for name, text in unexpected.items())
    mended = {name for name, kind, _ in rows if kind == "passed"} & set(gaps)
    assert not mended, f"these pass now: {sorted(mended)}"
    assert counts["passed"] > BEST_BEFORE


def folder(parent: Path, share: int) -> Path:
    """Where one of them works: they write files of the same names."""
    made = parent / str(share)
    made.mkdir()
    return made
