"""Pyodide with OpenSSL: the wheels that no package index has, from a directory of the tester's."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from demo.distribution import NPM_PACKAGE, OUTPUT, make_distribution, wheel_key
from tests.servers import ROOT

VARIABLE = "PYNET_TEST_WHEELS"
NEEDED = ("cryptography", "cffi", "pycparser", "pyopenssl")

OLDER = {
    "757845812fc8d2c94b0f0fb664d542e7d6e098263fbb5cda3b89dca5d7eff6d3",  # cffi 2.0.0
    "4e0e7e8e47613dd96110c640b15ee525db72a47946b8b06f8bcd0377c403fc5a",  # cryptography 47.0.0
    "fab73d094251fa60eef1b744db416f4f1fae95b18741b207870b65aa2f3479ed",  # pycparser 3.0
}
"""SHA-256 of the wheels of Pyodide 314.0.2, as its lock has them; they run in its successors too."""


def distribution() -> Path:
    """Build it; the test is skipped where the directory is not given."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no directory with the wheels of {', '.join(NEEDED)} for Pyodide")
    found = {wheel_key(wheel)[0]: wheel for wheel in Path(os.environ[VARIABLE]).glob("*.whl")}
    stock = json.loads((NPM_PACKAGE / "pyodide-lock.json").read_text())["packages"]
    for name in NEEDED:
        assert name in found, f"{VARIABLE} has no wheel of {name}"
        if name in stock:  # it was built by Pyodide's makers, who say what it is
            digest = hashlib.sha256(found[name].read_bytes()).hexdigest()
            assert digest in {stock[name]["sha256"], *OLDER}, f"{found[name]} is not Pyodide's"
    wheels = [*OUTPUT.glob("*.whl"), *(found[name] for name in NEEDED)]
    output = ROOT / "build" / "pyodide-tls"
    make_distribution(output, {}, wheels)
    return output
