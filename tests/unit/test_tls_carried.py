"""What a context was told is carried to the proxy whole, or refused: nothing is lost on the way."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import patch
from pynet_browser.tls.carried import carried
from tests.tls.certificates import Authority


@pytest.fixture
def context(authority: Authority):
    patches = Patches()
    patch.apply(patches)
    yield ssl.create_default_context(cafile=str(authority.root.file))
    patches.undo()


def told(context: Any, hostname: str | None = "example.com") -> dict[str, Any]:
    return carried(context._settings, hostname)


def test_what_was_asked_for_is_asked_of_the_proxy(context, authority):
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.hostname_checks_common_name = False
    context.set_ciphers("ECDHE+AESGCM")
    found = told(context)
    assert (found["minimum"], found["maximum"]) == (0x0304, 0xFFFF)
    assert (found["verify"], found["match"], found["common"], found["roots"]) == (2, 1, 0, 0)
    assert found["protocols"] == ["h2", "http/1.1"]
    assert found["ciphers"] == "ECDHE+AESGCM"
    assert [text.strip() for text in found["authorities"]] == [authority.root.pem.strip()]
    assert found["hostname"] == "example.com"
    assert found["flags"] == context.verify_flags


def test_the_usual_roots_are_those_of_the_proxys_host(context, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    usual._settings.trust._roots = True  # type: ignore[attr-defined]
    assert (told(usual)["roots"], told(usual)["authorities"]) == (1, [])


def test_an_unverified_context_stays_what_it_is_and_no_other_becomes_one(context):
    assert told(ssl._create_unverified_context())["verify"] == 0
    assert told(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))["verify"] == 2


@pytest.mark.parametrize("what", ["keylog", "message", "psk", "capath"])
def test_what_the_proxy_could_not_do_is_refused(context, tmp_path, what):
    match what:
        case "keylog":
            context.keylog_filename = tmp_path / "keys"
        case "message":
            context._msg_callback = print
        case "psk":
            context._settings.psk_client_callback = print
        case "capath":
            context.load_verify_locations(capath=tmp_path)
    with pytest.raises(ssl.SSLError, match=r"at the proxy cannot have .*install\(tls='page'\) can"):
        told(context)
