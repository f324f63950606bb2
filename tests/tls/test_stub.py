"""Our layer in Pyodide's own stub of ``ssl``, on this machine's Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tls.certificates import Authority
from tests.tls.conftest import HOST, Serve

ROOT = Path(__file__).parents[2]
STUB = ROOT / "build" / "pyodide" / "python_stdlib.zip"


@pytest.mark.skipif(not STUB.exists(), reason="Pyodide is not in build/pyodide; `make test` puts it there")
def test_what_was_taken_from_the_stub_before_speaks_tls(authority: Authority, serve: Serve):
    host, port = serve(authority.good)
    ran = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            str(Path(__file__).with_name("stub_program.py")),
            *(str(STUB), str(authority.root.file), host, str(port), HOST),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["lazy"]
    assert found["same"]
    assert found["adopted"] == found["talked"] == ["hello", "TLSv1.3", "ssl"]
    assert found["object"] == "1.3.6.1.5.5.7.3.1"
    assert found["constants"] == [0x100000, True, True]
    code, is_value_error, text = found["refused"]
    assert code == 20
    assert is_value_error
    assert text == (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate"
    )
    assert found["stub"] == found["undone"] == "OpenSSL (stub)"
    assert found["version"].startswith("OpenSSL ")
    assert found["version"] != found["stub"]
