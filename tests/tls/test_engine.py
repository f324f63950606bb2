"""When OpenSSL is loaded, and what is said where it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tls.certificates import Authority

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
        assert "pip install 'pynet-browser[tls]'" in line
        assert "pynet_browser.install(…, tls='page')" in line


def test_a_page_offers_first_what_webassembly_is_fast_at():
    said = run(
        """
import pynet_browser.runtime
pynet_browser.runtime.IN_PAGE = True
"""
        + APPLIED
        + """
names = [each["name"] for each in ssl.create_default_context().get_ciphers()]
print(names[0], [name for name in names if not name.startswith("TLS_")][0], len(names) == len(set(names)))
"""
    )
    assert said.split() == ["TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "True"]


def test_the_usual_roots_are_loaded_when_they_are_needed():
    said = run(
        APPLIED
        + """
context = ssl.create_default_context()
before = "OpenSSL" in sys.modules
print(before, context.cert_store_stats()["x509_ca"] > 50)
"""
    )
    assert said.split() == ["False", "True"]
