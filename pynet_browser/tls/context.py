"""``ssl.SSLContext``: how connections are to be made, checked as it is told."""

from __future__ import annotations

import os
import ssl
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from pynet_browser.tls.building import built
from pynet_browser.tls.certificates import decoded, pem_blocks
from pynet_browser.tls.ciphers import described
from pynet_browser.tls.connection import connection_of
from pynet_browser.tls.constants import HOST_FLAGS, LEGACY_VERSIONS, OPTIONS, PROTOCOLS, VERSIONS
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import error, of_queue
from pynet_browser.tls.identity import load
from pynet_browser.tls.settings import Settings

__all__ = ["SSLContext"]

NO_VERSION = OPTIONS["OP_NO_SSLv3"] | OPTIONS["OP_NO_TLSv1"] | OPTIONS["OP_NO_TLSv1_1"]
NO_VERSION |= OPTIONS["OP_NO_TLSv1_2"] | OPTIONS["OP_NO_TLSv1_3"]
"""Options of old; versions have limits today."""

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


class SSLContext:
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

    # ------------------------------------------------------------ what it holds

    @property
    def _settings(self) -> Settings:
        found: Settings | None = vars(self).get("_tls")
        if found is None:  # made by the stub, before this took its place
            found = vars(self)["_tls"] = _adopted(vars(self))
        return found

    def _change(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self._settings, name, value)
        vars(self).pop("_openssl", None)

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

    @property
    def protocol(self) -> Any:
        """Client's, server's or both."""
        return vars(ssl)["_SSLMethod"](self._settings.protocol)

    @property
    def options(self) -> Any:
        """``ssl.Options``."""
        return ssl.Options(self._settings.options)

    @options.setter
    def options(self, value: int) -> None:
        wanted = _integer(value)
        if wanted < 0 and sys.version_info < (3, 12):
            wanted &= 0xFFFFFFFF
        if not 0 <= wanted < 1 << 64:
            raise OverflowError("can't convert it to an unsigned 64-bit int")
        if wanted & ~self._settings.options & NO_VERSION:
            warnings.warn(
                "ssl.OP_NO_SSL*/ssl.OP_NO_TLS* options are deprecated", DeprecationWarning, stacklevel=2
            )
        self._change(options=wanted)

    @property
    def minimum_version(self) -> Any:
        """The oldest version that is spoken."""
        return ssl.TLSVersion(self._settings.minimum_version)

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        if value == VERSIONS["PROTO_SSLv3"]:
            self._change(options=self._settings.options & ~OPTIONS["OP_NO_SSLv3"])
        highest = VERSIONS["PROTO_TLSv1_3"]
        limits = {VERSIONS["PROTO_MAXIMUM_SUPPORTED"]: highest}
        self._change(minimum_version=self._version(value, limits))

    @property
    def maximum_version(self) -> Any:
        """The newest version that is spoken."""
        return ssl.TLSVersion(self._settings.maximum_version)

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        lowest = VERSIONS["PROTO_TLSv1"]
        limits = {VERSIONS["PROTO_MINIMUM_SUPPORTED"]: lowest}
        self._change(maximum_version=self._version(value, limits))

    def _version(self, value: int, limits: dict[int, int]) -> int:
        if self._settings.protocol in LEGACY_VERSIONS:
            raise ValueError(
                "The context's protocol doesn't support modification of highest and lowest version."
            )
        wanted = _integer(value)
        if wanted not in VERSIONS.values():
            raise ValueError(f"Unsupported TLS/SSL version 0x{wanted:x}")
        old = ssl.TLSVersion(wanted)
        if VERSIONS["PROTO_SSLv3"] <= wanted < VERSIONS["PROTO_TLSv1_2"]:
            warnings.warn(f"{old!s} is deprecated", DeprecationWarning, stacklevel=3)
        return limits.get(wanted, wanted)

    @property
    def verify_mode(self) -> Any:
        """Whether the peer needs a certificate."""
        return ssl.VerifyMode(self._settings.verify_mode)

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        mode = _integer(value)
        if mode not in (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED):
            raise ValueError("invalid value for verify_mode")
        if mode == ssl.CERT_NONE and self._settings.check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._change(verify_mode=mode)

    @property
    def verify_flags(self) -> Any:
        """``ssl.VerifyFlags``."""
        return ssl.VerifyFlags(self._settings.verify_flags)

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        self._change(verify_flags=_integer(value))

    @property
    def check_hostname(self) -> bool:
        """Whether the peer's certificate must name the host."""
        return self._settings.check_hostname

    @check_hostname.setter
    def check_hostname(self, value: object) -> None:
        wanted = bool(value)
        self._change(check_hostname=wanted)
        if wanted and self._settings.verify_mode == ssl.CERT_NONE:
            self._change(verify_mode=int(ssl.CERT_REQUIRED))

    @property
    def _host_flags(self) -> int:
        return self._settings.host_flags

    @_host_flags.setter
    def _host_flags(self, value: int) -> None:
        self._change(host_flags=_integer(value))

    @property
    def hostname_checks_common_name(self) -> bool:
        """Whether the subject's common name counts where there are no other names."""
        return not self._settings.host_flags & HOST_FLAGS["HOSTFLAG_NEVER_CHECK_SUBJECT"]

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: object) -> None:
        never = HOST_FLAGS["HOSTFLAG_NEVER_CHECK_SUBJECT"]
        flags = self._settings.host_flags
        self._change(host_flags=flags & ~never if value else flags | never)

    @property
    def post_handshake_auth(self) -> bool:
        """Whether a client of TLS 1.3 shows its certificate when it is asked later."""
        return self._settings.post_handshake_auth

    @post_handshake_auth.setter
    def post_handshake_auth(self, value: object) -> None:
        self._change(post_handshake_auth=bool(value))

    @property
    def num_tickets(self) -> int:
        """How many tickets a server was to hand out; OpenSSL's bindings cannot have it do other than 2."""
        return self._settings.num_tickets

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        number = _integer(value)
        if number < 0:
            raise ValueError("value must be non-negative")
        if not self._settings.is_server_only:
            raise ValueError("SSLContext is not a server context.")
        self._change(num_tickets=number)

    @property
    def security_level(self) -> int:
        """What ``ciphers`` say of it."""
        _, found, level = self._settings.ciphers.partition("@SECLEVEL=")
        return int(level[0]) if found else 2

    @property
    def keylog_filename(self) -> Any:
        """The file that keys are written to, for those who read captured traffic (the format of NSS)."""
        return self._settings.keylog_filename

    @keylog_filename.setter
    def keylog_filename(self, path: Any) -> None:
        if self._settings.keylog is not None:
            self._settings.keylog.close()
            self._change(keylog=None, keylog_filename=None)
        if path is None:
            return
        name = os.fspath(path)
        file = Path(os.fsdecode(name)).open("ab")  # noqa: SIM115 - kept as long as the context
        if not file.tell():
            file.write(b"# TLS secrets log file, generated by OpenSSL / Python\n")
            file.flush()
        self._change(keylog=file, keylog_filename=path)

    def __del__(self) -> None:
        settings = vars(self).get("_tls")
        if settings is not None and settings.keylog is not None:
            settings.keylog.close()

    @property
    def sni_callback(self) -> Any:
        """What a server calls with the name that its client asks for."""
        return self._settings.sni_callback

    @sni_callback.setter
    def sni_callback(self, callback: Any) -> None:
        if self._settings.is_client_only:
            raise ValueError("sni_callback cannot be set on TLS_CLIENT context")
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        self._change(sni_callback=callback)

    def set_servername_callback(self, server_name_callback: Any) -> None:
        """The same under its first name."""
        self.sni_callback = server_name_callback

    @property
    def _msg_callback(self) -> Any:
        return self._settings.message_callback

    @_msg_callback.setter
    def _msg_callback(self, callback: Any) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"{callback} is not callable.")
        self._change(message_callback=callback)

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


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    return int(value)


def _wrong_side(text: str) -> ssl.SSLError:
    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, text)


def _adopted(told: dict[str, Any]) -> Settings:
    """What the stub was told: aiohttp and others make contexts when they are imported."""
    settings = Settings.of(int(told.get("protocol", PROTOCOLS["PROTOCOL_TLS_CLIENT"])))
    settings.check_hostname = bool(told.get("_check_hostname", settings.check_hostname))
    settings.verify_mode = int(told.get("_verify_mode", settings.verify_mode))
    if isinstance(data := told.get("_ca_data"), str):
        settings.trust.add_data(data)
    elif settings.verify_mode != ssl.CERT_NONE:
        settings.trust.add_roots()
    return settings
