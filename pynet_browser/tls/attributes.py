"""The attributes of ``ssl.SSLContext``: checked when they are set, they hold for connections made later."""

from __future__ import annotations

import os
import ssl
import sys
import warnings
from pathlib import Path
from typing import Any

from pynet_browser.tls.constants import HOST_FLAGS, LEGACY_VERSIONS, OPTIONS, PROTOCOLS, VERSIONS
from pynet_browser.tls.settings import Settings

__all__ = ["Attributes"]

NO_VERSION = OPTIONS["OP_NO_SSLv3"] | OPTIONS["OP_NO_TLSv1"] | OPTIONS["OP_NO_TLSv1_1"]
NO_VERSION |= OPTIONS["OP_NO_TLSv1_2"] | OPTIONS["OP_NO_TLSv1_3"]
"""Options of old; versions have limits today."""


class Attributes:
    """What an ``SSLContext`` shows of its settings."""

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


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    return int(value)


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
