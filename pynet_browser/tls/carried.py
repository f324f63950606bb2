"""What a context was told, as the proxy is asked for it: all of it, or an error.

Nothing that was asked for may be lost on the way: what the proxy could not do is refused here.
"""

from __future__ import annotations

import ssl
from typing import Any

from pynet_browser.tls.constants import HOST_FLAGS, OPTIONS
from pynet_browser.tls.settings import CIPHERS, Settings

__all__ = ["carried"]

NEVER_SUBJECT = HOST_FLAGS["HOSTFLAG_NEVER_CHECK_SUBJECT"]
USUAL_HOST_FLAGS = HOST_FLAGS["HOSTFLAG_NO_PARTIAL_WILDCARDS"]

CLIENTS = OPTIONS["OP_CIPHER_SERVER_PREFERENCE"]
"""The option of servers alone, which Python sets for all."""

UNSIGNED = 0xFFFF


def carried(settings: Settings, hostname: str | None) -> dict[str, Any]:
    """The fields of ``starttls``, but for the target and the timeout; see docs/protocol.md.

    Raises:
        ssl.SSLError: some of it only this page can do.
    """
    impossible = {
        "a keylog file": settings.keylog is not None,
        "a message callback": settings.message_callback is not None,
        "a pre-shared key": settings.psk_client_callback is not None,
        "a directory of certificates (capath)": settings.trust.has_directories,
        "a list of revoked certificates": settings.trust.has_revoked,
        "these flags for hostnames": settings.host_flags & ~NEVER_SUBJECT != USUAL_HOST_FLAGS,
    }
    for what, asked in impossible.items():
        if asked:
            raise ssl.SSLError(
                ssl.SSLErrorNumber.SSL_ERROR_SSL,
                f"TLS that ends at the proxy cannot have {what}; install(tls='page') can",
            )
    roots, authorities = settings.trust.told()
    return {
        "minimum": settings.minimum_version & UNSIGNED,
        "maximum": settings.maximum_version & UNSIGNED,
        "verify": settings.verify_mode,
        "match": int(settings.check_hostname),
        "common": int(not settings.host_flags & NEVER_SUBJECT),
        "roots": int(roots),
        "later": int(settings.post_handshake_auth),
        "flags": settings.verify_flags,
        "options": settings.options & ~CLIENTS,
        "hostname": hostname or "",
        "ciphers": "" if settings.ciphers == CIPHERS else settings.ciphers,
        "protocols": [name.decode("ascii") for name in settings.alpn],
        "authorities": authorities,
        "identity": list(settings.presented),
    }
