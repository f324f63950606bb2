"""When OpenSSL is loaded, and what is said where it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tls.conftest import Authority

ROOT = Path(__file__).parents[2]

APPLIED = """
import ssl, sys
import pynet_browser
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch
patch.apply(Patches())
"""

WITHOUT = "sys.modules['OpenSSL'] = None\n"


def run(program: str, *args: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program, *args],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_neither_the_package_nor_a_context_imports_openssl(authority: Authority):
    said = run(
        APPLIED
        + """
context = ssl.create_default_context(cafile=sys.argv[1])
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.set_alpn_protocols(["http/1.1"])
ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
print([name for name in ("OpenSSL", "cryptography") if name in sys.modules])
context.get_ciphers()
print("OpenSSL" in sys.modules, ssl.OPENSSL_VERSION)
""",
        str(authority.root.file),
    )
    first, second = said.splitlines()
    assert first == "[]"
    assert second.startswith("True OpenSSL ")


def test_an_error_says_what_to_load(authority: Authority):
    said = run(
        APPLIED
        + WITHOUT
        + """
context = ssl.create_default_context(cafile=sys.argv[1])
for call in (context.get_ciphers, lambda: context.set_ciphers("ALL"),
             lambda: context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")):
    try:
        call()
    except ssl.SSLError as error:
        print(error)
""",
        str(authority.root.file),
    )
    lines = said.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "TLS needs pyOpenSSL and cryptography" in line
        assert "micropip.install('pynet-browser[tls]')" in line
        assert "tls='page'" in line
