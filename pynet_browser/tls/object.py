"""``ssl.SSLObject``: TLS between two buffers, for those who move the bytes themselves, as asyncio does."""

from __future__ import annotations

import warnings
from typing import Any

from pynet_browser.tls.certificates import ENCODING_DER
from pynet_browser.tls.connection import Connection
from pynet_browser.tls.errors import want_read

__all__ = ["SSLObject"]


class _Buffers:
    """A channel made of two buffers: it never waits."""

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def begin(self, doing: str) -> None:
        """Nothing takes time here."""

    def receive(self, size: int) -> bytes:
        data: bytes = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise want_read()
        return data

    def send(self, data: bytes | memoryview) -> int:
        written: int = self._outgoing.write(data)
        return written


class SSLObject:
    """One connection; ``ssl.SSLContext.wrap_bio`` makes them."""

    _sslobj: Connection

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError(
            f"{type(self).__name__} does not have a public constructor. "
            "Instances are returned by SSLContext.wrap_bio()."
        )

    @classmethod
    def _create(  # noqa: PLR0917  the standard library's signature
        cls,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: Any = None,
        context: Any = None,
    ) -> Any:
        checked_hostname(server_hostname)
        if context.check_hostname and not server_hostname and not server_side:
            raise ValueError("check_hostname requires server_hostname")
        made = cls.__new__(cls)
        made._sslobj = Connection(
            context,
            _Buffers(incoming, outgoing),
            server_side=server_side,
            server_hostname=server_hostname,
            owner=made,
            session=session,
        )
        return made

    @property
    def context(self) -> Any:
        """The context it was made by, or the one that a callback for server names chose."""
        return self._sslobj.context

    @context.setter
    def context(self, context: Any) -> None:
        self._sslobj.context = context

    @property
    def session(self) -> Any:
        """What a later connection may resume."""
        return self._sslobj.session

    @session.setter
    def session(self, session: Any) -> None:
        self._sslobj.session = session

    @property
    def session_reused(self) -> bool:
        """Whether this one resumed another."""
        return self._sslobj.session_reused

    @property
    def server_side(self) -> bool:
        """Whether it is a server's."""
        return self._sslobj.server_side

    @property
    def server_hostname(self) -> str | None:
        """Whom a client means to reach."""
        return self._sslobj.server_hostname

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - CPython's name
        """At most ``len`` bytes, or their number if they go into ``buffer``."""
        return self._sslobj.read(len, buffer)

    def write(self, data: Any) -> int:
        """Encrypt this."""
        return self._sslobj.write(data)

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        self._sslobj.do_handshake()

    def unwrap(self) -> Any:
        """Go on with the end of the connection."""
        return self._sslobj.shutdown()

    def pending(self) -> int:
        """How many bytes are there to read."""
        return self._sslobj.pending()

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: DER, or what it says once it was verified; None for none."""
        return self._sslobj.getpeercert(binary_form)

    def get_verified_chain(self) -> list[Any]:
        """DER of the certificates from the peer's to a trusted one."""
        return [each.public_bytes(ENCODING_DER) for each in self._sslobj.get_verified_chain() or ()]

    def get_unverified_chain(self) -> list[Any]:
        """DER of what the peer sent."""
        return [each.public_bytes(ENCODING_DER) for each in self._sslobj.get_unverified_chain() or ()]

    def selected_npn_protocol(self) -> None:
        """None: NPN is gone."""
        warnings.warn("ssl NPN is deprecated, use ALPN instead", DeprecationWarning, stacklevel=2)

    def selected_alpn_protocol(self) -> str | None:
        """The protocol that was agreed on (RFC 7301)."""
        return self._sslobj.selected_alpn_protocol()

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, version and bits of the cipher in use."""
        return self._sslobj.cipher()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """What a server could choose from."""
        return self._sslobj.shared_ciphers()

    def compression(self) -> None:
        """None: TLS compresses nothing any more."""
        return self._sslobj.compression()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """What only the two ends know (RFC 5929)."""
        return self._sslobj.get_channel_binding(cb_type)

    def version(self) -> str | None:
        """The version in use, once there is one."""
        return self._sslobj.version()

    def verify_client_post_handshake(self) -> None:
        """Ask a client of TLS 1.3 for its certificate."""
        return self._sslobj.verify_client_post_handshake()


def checked_hostname(hostname: str | None) -> None:
    """Refuse what is no name.

    Raises:
        ValueError: it is empty or begins with a dot.
        TypeError: it holds a null character.
    """
    if hostname is None:
        return
    if not hostname or hostname.startswith("."):
        raise ValueError("server_hostname cannot be an empty string or start with a leading dot.")
    if "\0" in hostname:
        raise TypeError("server_hostname: embedded null character")
