"""What must not be trusted is not, and is refused with the very words of CPython's own ``ssl``."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch
from tests.tls.certificates import DAY, NOW, Authority, Identity, make
from tests.tls.conftest import HOST, Serve, connected, trusting


@dataclass(frozen=True)
class Refusal:
    """What a program sees of it."""

    kind: str
    number: int
    library: Any
    reason: Any
    verify_code: Any
    verify_message: Any
    text: str


NEW_WORDS = {" or the system clock is incorrect": ""}
"""What OpenSSL 4 says beyond OpenSSL 3: each side has its own."""


def in_old_words(text: str) -> str:
    for new, old in NEW_WORDS.items():
        text = text.replace(new, old)
    return text


def refusal(attempt: Callable[[], object]) -> Refusal:
    """How the attempt fails; it must."""
    with pytest.raises(ssl.SSLError) as caught:
        attempt()
    error: Any = caught.value
    return Refusal(
        type(error).__name__,
        error.errno,
        error.library,
        error.reason,
        getattr(error, "verify_code", None),
        in_old_words(getattr(error, "verify_message", "")),
        in_old_words(re.sub(r" \(_ssl\.c:\d+\)$", "", str(error))),  # CPython tells its own line
    )


def both(attempt: Callable[[], object]) -> tuple[Refusal, Refusal]:
    """CPython's refusal and ours."""
    theirs = refusal(attempt)
    patches = Patches()
    patch.apply(patches)
    try:
        return theirs, refusal(attempt)
    finally:
        patches.undo()


BAD: dict[str, tuple[Callable[[Authority], Identity], str, int]] = {
    "expired": (
        lambda a: make(a.folder, "expired", HOST, issuer=a.root, begins=NOW - 2 * DAY, ends=NOW - DAY),
        HOST,
        10,
    ),
    "not yet valid": (
        lambda a: make(a.folder, "early", HOST, issuer=a.root, begins=NOW + DAY, ends=NOW + 2 * DAY),
        HOST,
        9,
    ),
    "another host": (lambda a: make(a.folder, "other", "other.invalid", issuer=a.root), HOST, 62),
    "another address": (lambda a: make(a.folder, "address", "127.0.0.2", issuer=a.root), "127.0.0.1", 64),
    "an address that is only a name": (
        lambda a: make(a.folder, "127.0.0.1", HOST, issuer=a.root),
        "127.0.0.1",
        64,
    ),
    "an address written as a name": (
        lambda a: make(a.folder, "named", "localhost", issuer=a.root),
        "::1",
        64,
    ),
    "a common name beside other names": (
        lambda a: make(a.folder, HOST, "other.invalid", issuer=a.root),
        HOST,
        62,
    ),
    "a wildcard for two labels": (
        lambda a: make(a.folder, "wild", "*.example.invalid", issuer=a.root),
        "a.b.example.invalid",
        62,
    ),
    "a wildcard for part of a label": (
        lambda a: make(a.folder, "part", "a*.example.invalid", issuer=a.root),
        "ab.example.invalid",
        62,
    ),
    "another authority": (
        lambda a: make(a.folder, "foreign", HOST, issuer=make(a.folder, "Elsewhere", authority=True)),
        HOST,
        20,
    ),
    "self-signed": (lambda a: make(a.folder, "self", HOST), HOST, 18),
    "signed by one who may not": (lambda a: make(a.folder, "child", HOST, issuer=a.good), HOST, 20),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_as_by_cpython(case: str, authority: Authority, serve: Serve):
    issue, hostname, code = BAD[case]
    address = serve(issue(authority))
    theirs, ours = both(lambda: connected(address, trusting(authority), hostname))
    assert ours == theirs
    assert (ours.kind, ours.verify_code) == ("SSLCertVerificationError", code)


def test_nobody_is_trusted_without_roots(authority: Authority, serve: Serve):
    address = serve(authority.good)
    theirs, ours = both(lambda: connected(address, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
    assert ours == theirs
    assert ours.verify_code == 20


def test_a_common_name_counts_only_where_that_is_wanted(authority: Authority, serve: Serve):
    address = serve(make(authority.folder, HOST, issuer=authority.root))

    def strict() -> object:
        context = trusting(authority)
        context.hostname_checks_common_name = False
        return connected(address, context)

    theirs, ours = both(strict)
    assert ours == theirs
    assert ours.verify_code == 62


def test_an_older_version_than_wanted_is_refused(authority: Authority, serve: Serve):
    address = serve(authority.good, maximum="TLSv1_2")

    def attempt() -> object:
        context = trusting(authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return connected(address, context)

    theirs, ours = both(attempt)
    assert (ours.kind, ours.number, ours.library, ours.reason) == (
        theirs.kind,
        theirs.number,
        theirs.library,
        theirs.reason,
    )
    assert ours.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_a_stream_cut_off_is_not_its_end(authority: Authority, serve: Serve):
    address = serve(authority.good)

    def attempt() -> object:
        with connected(address, trusting(authority), suppress_ragged_eofs=False) as client:
            client.sendall(b"cut")
            return client.recv(10)

    theirs, ours = both(attempt)
    assert ours == theirs
    assert ours.kind == "SSLEOFError"


def test_a_server_of_ours_refuses_clients_without_certificate(authority: Authority, serve: Serve):
    address = serve(authority.good, client_ca=str(authority.root.file), maximum="TLSv1_2")
    theirs, ours = both(lambda: connected(address, trusting(authority)))
    assert (ours.kind, ours.library, ours.reason) == (theirs.kind, theirs.library, theirs.reason)
    assert "HANDSHAKE_FAILURE" in str(ours.reason)


@pytest.mark.parametrize("hostname", ["", ".example.com"])
def test_what_is_no_name_is_refused(hostname: str, layer: Patches, authority: Authority, serve: Serve):
    address = serve(authority.good)
    context = trusting(authority)
    context.check_hostname = False
    with pytest.raises(ValueError, match=r"server_hostname|label empty"):
        connected(address, context, hostname)
    context.check_hostname = True
    with pytest.raises(ValueError, match="server_hostname"):
        connected(address, context, None)
