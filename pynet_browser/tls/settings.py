"""What a context was told, from which OpenSSL's context is built when a connection needs it.

OpenSSL's bindings cannot take an option back, and pyOpenSSL refuses every change after the first connection,
where Python's contexts may be changed at any time. So each change has the next connection build anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pynet_browser.runtime import IN_PAGE
from pynet_browser.tls.constants import (
    DEFAULT_CIPHERS,
    DEFAULT_OPTIONS,
    HOST_FLAGS,
    LEGACY_VERSIONS,
    PROTOCOLS,
    VERIFY_FLAGS,
    VERSIONS,
)
from pynet_browser.tls.trust import Trust

__all__ = ["Identity", "Settings"]

# WebAssembly has no instructions for AES: ChaCha20 is two to three times as fast there.
CIPHERS = f"@SECLEVEL=2:ECDH+CHACHA20:{DEFAULT_CIPHERS.partition(':')[2]}" if IN_PAGE else DEFAULT_CIPHERS
CIPHERSUITES = (
    "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
    if IN_PAGE
    else "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of our own: objects of cryptography's.

    Attributes:
        certificate: ours.
        key: its private key.
        chain: who vouches for it.
    """

    certificate: Any
    key: Any
    chain: tuple[Any, ...]


@dataclass
class Settings:
    """Everything an ``SSLContext`` can be told; the names are its attributes'.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        trust: whose word is taken.
        identities: ours, one of each kind of key.
        presented: the same for the proxy to show: certificates, key (both PEM) and password, or nothing.
        counted: what its connections did, by the names of ``SSLContext.session_stats``.
    """

    protocol: int
    check_hostname: bool = False
    verify_mode: int = 0
    verify_flags: int = VERIFY_FLAGS["VERIFY_X509_TRUSTED_FIRST"]
    host_flags: int = HOST_FLAGS["HOSTFLAG_NO_PARTIAL_WILDCARDS"]
    options: int = DEFAULT_OPTIONS
    minimum_version: int = VERSIONS["PROTO_TLSv1_2"]
    maximum_version: int = VERSIONS["PROTO_MAXIMUM_SUPPORTED"]
    ciphers: str = CIPHERS
    ciphersuites: str = CIPHERSUITES
    curve: str = ""
    dh_file: str = ""
    alpn: tuple[bytes, ...] = ()
    num_tickets: int = 2
    post_handshake_auth: bool = False
    keylog: Any = None
    keylog_filename: Any = None
    sni_callback: Callable[..., Any] | None = None
    message_callback: Callable[..., Any] | None = None
    psk_client_callback: Callable[..., Any] | None = None
    psk_server_callback: Callable[..., Any] | None = None
    psk_hint: bytes | None = None
    trust: Trust = field(default_factory=Trust)
    identities: list[Identity] = field(default_factory=list)
    presented: tuple[str, ...] = ()
    counted: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, protocol: int) -> Settings:
        """Those of a new context."""
        settings = cls(protocol)
        if protocol == PROTOCOLS["PROTOCOL_TLS_CLIENT"]:
            settings.check_hostname, settings.verify_mode = True, 2
        if protocol in LEGACY_VERSIONS:
            settings.minimum_version = settings.maximum_version = LEGACY_VERSIONS[protocol]
        return settings

    @property
    def is_client_only(self) -> bool:
        """Whether it cannot serve."""
        return self.protocol == PROTOCOLS["PROTOCOL_TLS_CLIENT"]

    @property
    def is_server_only(self) -> bool:
        """Whether it can only serve."""
        return self.protocol == PROTOCOLS["PROTOCOL_TLS_SERVER"]
