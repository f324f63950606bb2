"""``ssl.SSLContext``: how connections are to be made, checked as it is told."""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from pynet_browser.tls.attributes import Attributes
from pynet_browser.tls.building import built
from pynet_browser.tls.certificates import decoded, pem_blocks
from pynet_browser.tls.ciphers import described
from pynet_browser.tls.connection import connection_of
from pynet_browser.tls.constants import LEGACY_VERSIONS, PROTOCOLS
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import error, of_queue
from pynet_browser.tls.identity import load, read
from pynet_browser.tls.settings import Settings
from pynet_browser.tls.side import at_proxy

__all__ = ["SSLContext"]

COUNTERS = (
    "number",
    "connect",
    "connect_good",
    "connect_renegotiate",
    "accept",
    "accept_good",
    "accept_renegotiate",
    "hits",
    "misses",
    "timeouts",
    "cache_full",
)

LONGEST_NAME = 255
"""Of a protocol (RFC 7301)."""


class SSLContext(Attributes):
    """Settings for connections, as ``ssl.SSLContext``; each change holds for those that are made after it."""

    sslsocket_class: Any = None
    sslobject_class: Any = None
    _windows_cert_stores = ("CA", "ROOT")

    def __new__(cls, protocol: Any = None, *_args: object, **_kwargs: object) -> Self:
        """Refuse protocols that there are not."""
        if protocol is None:
            warnings.warn(
                "ssl.SSLContext() without protocol argument is deprecated.", DeprecationWarning, stacklevel=2
            )
            protocol = PROTOCOLS["PROTOCOL_TLS"]
        if not isinstance(protocol, int):
            raise TypeError(f"'{type(protocol).__name__}' object cannot be interpreted as an integer")
        if protocol not in PROTOCOLS.values():
            raise ValueError("invalid or unsupported protocol version")
        if protocol == PROTOCOLS["PROTOCOL_TLS"]:
            warnings.warn("ssl.PROTOCOL_TLS is deprecated", DeprecationWarning, stacklevel=2)
        elif protocol in LEGACY_VERSIONS:
            name = ssl.get_protocol_name(protocol)
            warnings.warn(f"ssl.{name} is deprecated", DeprecationWarning, stacklevel=2)
        made = object.__new__(cls)
        vars(made)["_tls"] = Settings.of(int(protocol))
        return made

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        pass

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")

    def _built(self) -> Any:
        """OpenSSL's context, with all that was said until now."""
        if "_openssl" not in vars(self):
            vars(self)["_openssl"] = built(self._settings, connection_of)
        return vars(self)["_openssl"]

    def _try(self, **values: Any) -> None:
        """Change this, if OpenSSL agrees."""
        before = {name: getattr(self._settings, name) for name in values}
        self._change(**values)
        try:
            self._built()
        except BaseException:
            self._change(**before)
            raise

    # ------------------------------------------------------------ what it is given

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Trust these certificates: a file of PEM, a directory of them, PEM text or DER bytes.

        Raises:
            OSError: the file cannot be read.
            ssl.SSLError: there are no certificates in it.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        for name, path in (("cafile", cafile), ("capath", capath)):
            if path is not None and not isinstance(path, str | bytes | os.PathLike):
                raise TypeError(f"{name} should be a valid filesystem path")
        if cadata is not None:
            if isinstance(cadata, str):
                if not cadata.isascii():
                    raise TypeError("cadata should be an ASCII string or a bytes-like object")
            else:
                try:
                    cadata = bytes(memoryview(cadata))
                except TypeError:
                    raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
            if not cadata:
                raise ValueError("Empty certificate data")
        trust = self._settings.trust
        if cadata is not None:
            trust.add_data(cadata)
        if cafile is not None:
            trust.add_file(cafile)
        if capath is not None:
            trust.add_directory(capath)
        self._change()

    def set_default_verify_paths(self) -> None:
        """Trust what programs here trust; see ``ssl.get_default_verify_paths``."""
        self._settings.trust.add_roots()
        self._change()

    def load_default_certs(self, purpose: Any = ssl.Purpose.SERVER_AUTH) -> None:
        """The same, for one purpose."""
        if not isinstance(purpose, vars(ssl)["_ASN1Object"]):
            raise TypeError(purpose)
        self.set_default_verify_paths()

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Have this certificate and key for our own; see ``ssl.SSLContext.load_cert_chain``.

        Raises:
            OSError: a file cannot be read.
            ssl.SSLError: they hold no certificate and key that belong together, or the password is wrong.
        """
        if at_proxy():
            self._change(presented=read(certfile, keyfile, password))
            return
        identity = load(certfile, keyfile, password)
        kept = [each for each in self._settings.identities if type(each.key) is not type(identity.key)]
        self._try(identities=[*kept, identity])

    def set_ciphers(self, ciphers: str, /) -> None:
        """Offer these, for TLS 1.2 and below, in OpenSSL's language (ciphers(1)).

        Raises:
            ssl.SSLError: none is left.
        """
        if not isinstance(ciphers, str):
            raise TypeError(f"argument must be str, not {type(ciphers).__name__}")
        if at_proxy():  # which will say what is wrong with them
            self._change(ciphers=ciphers)
            return
        try:
            self._try(ciphers=ciphers)
        except ssl.SSLError as wrong:
            if wrong.library != "SSL":
                raise  # OpenSSL is not there
            raise error(
                ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, "No cipher can be selected."
            ) from None

    def get_ciphers(self) -> list[dict[str, Any]]:
        """What is offered, first choice first."""
        return described(engine().ssl.Connection(self._built()))

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Offer these protocols, or as a server choose among them (RFC 7301)."""
        names = tuple(bytes(name, "ascii") for name in alpn_protocols)
        if any(not 0 < len(name) <= LONGEST_NAME for name in names):
            raise ssl.SSLError("ALPN protocols must be 1 to 255 in length")
        self._change(alpn=names)

    def set_npn_protocols(self, npn_protocols: object) -> None:  # noqa: ARG002
        """Next to nobody speaks NPN any more."""
        warnings.warn("ssl NPN is deprecated, use ALPN instead", DeprecationWarning, stacklevel=2)

    def load_dh_params(self, path: Any, /) -> None:
        """Have a server exchange keys in this Diffie-Hellman group.

        Raises:
            OSError: the file cannot be read.
            ssl.SSLError: it holds none.
        """
        name = os.fsdecode(path)
        if not any("DH PARAMETERS" in label for label, _ in pem_blocks(Path(name).read_bytes())):
            raise of_queue([("PEM routines", "", "no start line")])
        self._try(dh_file=name)

    def set_ecdh_curve(self, name: Any, /) -> None:
        """Have a server exchange keys on this curve.

        Raises:
            ValueError: OpenSSL does not know it.
        """
        curve = os.fsdecode(name)
        try:
            self._try(curve=curve)
        except ssl.SSLError:
            raise ValueError(f"unknown elliptic curve name {name!r}") from None

    def set_psk_client_callback(self, callback: Callable[..., Any] | None) -> None:
        """Ask this for identity and key, given the server's hint."""
        if self._settings.is_server_only:
            raise _wrong_side("Cannot add PSK client callback to a PROTOCOL_TLS_SERVER context")
        if callback is not None and not callable(callback):
            raise TypeError("callback must be callable")
        self._change(psk_client_callback=callback)

    def set_psk_server_callback(
        self, callback: Callable[..., Any] | None, identity_hint: str | None = None
    ) -> None:
        """Ask this for the key, given the client's identity."""
        if self._settings.is_client_only:
            raise _wrong_side("Cannot add PSK server callback to a PROTOCOL_TLS_CLIENT context")
        if callback is not None and not callable(callback):
            raise TypeError("callback must be callable")
        hint = None if identity_hint is None else identity_hint.encode()
        self._change(psk_server_callback=callback, psk_hint=hint)

    # ------------------------------------------------------------ what it tells

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        """Authorities it trusts, as far as they were loaded."""
        found = self._settings.trust.authorities()
        return list(found) if binary_form else [decoded(der) for der in found]

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates, authorities and lists of revoked ones it holds."""
        return self._settings.trust.statistics()

    def session_stats(self) -> dict[str, int]:
        """What its connections did; of the session cache itself OpenSSL's bindings tell nothing."""
        return {name: self._settings.counted[name] for name in COUNTERS}

    def _encode_hostname(self, hostname: str | bytes | None) -> str | None:
        if hostname is None:
            return None
        if isinstance(hostname, str):
            return hostname.encode("idna").decode("ascii")
        return hostname.decode("ascii")

    # ------------------------------------------------------------ connections

    def wrap_socket(  # noqa: PLR0917  the standard library's signature
        self,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        """TLS over a socket, which belongs to the new one from now on."""
        return self.sslsocket_class._create(
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
            context=self,
            session=session,
        )

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        """TLS between two buffers that the program fills and empties."""
        return self.sslobject_class._create(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=self._encode_hostname(server_hostname),
            session=session,
            context=self,
        )


def _wrong_side(text: str) -> ssl.SSLError:
    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, text)
