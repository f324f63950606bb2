"""OpenSSL's context, built from what a Python context was told."""

from __future__ import annotations

import ssl
import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pynet_browser.tls.constants import ALERTS, VERSIONS
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import of_queue
from pynet_browser.tls.settings import Settings

__all__ = ["built", "unraisable"]

SESSION_ID_CONTEXT = b"Python"
"""What sessions are good for: servers refuse to resume those of another."""

LIMITLESS = {VERSIONS["PROTO_MINIMUM_SUPPORTED"]: 0, VERSIONS["PROTO_MAXIMUM_SUPPORTED"]: 0}
"""OpenSSL's way to say so of a version."""


def built(settings: Settings, connection_of: Callable[[Any], Any]) -> Any:
    """A context of pyOpenSSL's.

    Args:
        settings: what is wanted.
        connection_of: the ``Connection`` of ours for one of pyOpenSSL's.

    Raises:
        ssl.SSLError: OpenSSL refuses some of it.
    """
    used = engine()
    methods = {16: used.ssl.TLS_CLIENT_METHOD, 17: used.ssl.TLS_SERVER_METHOD}
    context = used.ssl.Context(methods.get(settings.protocol, used.ssl.TLS_METHOD))
    raw = context._context
    try:
        # CPython does not set it: one write takes all it is given.
        context.clear_mode(used.lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
        context.set_options(settings.options & 0xFFFFFFFFFFFFFFFF)
        oldest = max(settings.minimum_version, VERSIONS["PROTO_TLSv1"])  # SSL 3 is in no OpenSSL of today
        context.set_min_proto_version(LIMITLESS.get(settings.minimum_version, oldest))
        context.set_max_proto_version(LIMITLESS.get(settings.maximum_version, settings.maximum_version))
        context.set_cipher_list(settings.ciphers.encode())
        context.set_tls13_ciphersuites(settings.ciphersuites.encode())
        if (
            settings.psk_server_callback is None and settings.psk_client_callback is None
        ):  # sessions made of shared keys belong to no context
            context.set_session_id(SESSION_ID_CONTEXT)
        _verify(context, settings)
        for identity in settings.identities:
            context.use_certificate(identity.certificate)
            context.use_privatekey(identity.key)
            for certificate in identity.chain:
                context.add_extra_chain_cert(certificate)
        if settings.curve and used.lib.SSL_CTX_set1_curves_list(raw, settings.curve.encode()) != 1:
            used.ssl._raise_current_error()
        if settings.dh_file:
            context.load_tmp_dh(settings.dh_file)
        _negotiate(context, settings)
        if settings.post_handshake_auth:
            used.lib.SSL_CTX_set_post_handshake_auth(raw, 1)
        if settings.keylog is not None:
            context.set_keylog_callback(lambda _, line: _log(settings.keylog, line))
        _call_back(context, settings, connection_of)
    except (used.ssl.Error, used.crypto.Error) as wrong:
        raise of_queue(wrong.args[0] if wrong.args else []) from None
    return context


def _verify(context: Any, settings: Settings) -> None:
    used = engine()
    mode = used.ssl.VERIFY_NONE
    if settings.verify_mode != ssl.CERT_NONE:
        mode = used.ssl.VERIFY_PEER
    if settings.verify_mode == ssl.CERT_REQUIRED:
        mode |= used.ssl.VERIFY_FAIL_IF_NO_PEER_CERT
    if settings.post_handshake_auth and mode:
        mode |= used.lib.SSL_VERIFY_POST_HANDSHAKE  # a server asks later
    context.set_verify(mode, None)
    parameters = used.lib.SSL_CTX_get0_param(context._context)
    used.lib.X509_VERIFY_PARAM_set_flags(parameters, settings.verify_flags)
    used.lib.X509_VERIFY_PARAM_set_hostflags(parameters, settings.host_flags)
    settings.trust.install(context.get_cert_store(), needed=settings.verify_mode != ssl.CERT_NONE)


def _negotiate(context: Any, settings: Settings) -> None:
    """ALPN (RFC 7301): a client offers, a server takes the first of its own that is offered."""
    if not settings.alpn:
        return
    used = engine()
    context.set_alpn_protos(list(settings.alpn))

    def choose(_connection: Any, offered: list[bytes]) -> Any:
        found = [each for each in settings.alpn if each in offered]
        return found[0] if found else used.ssl.NO_OVERLAPPING_PROTOCOLS

    context.set_alpn_select_callback(choose)


def _log(file: Any, line: bytes) -> None:
    try:
        file.write(line + b"\n")
        file.flush()
    except OSError as wrong:
        unraisable(wrong, file)


def _call_back(context: Any, settings: Settings, connection_of: Callable[[Any], Any]) -> None:
    """Set what pyOpenSSL has no methods for; OpenSSL does not keep these callbacks, so the context does."""
    used = engine()
    lib, ffi, raw = used.lib, used.ffi, context._context
    kept = []
    if settings.sni_callback is not None:

        def named(handle: Any, alert: Any, _: Any) -> int:
            name = lib.SSL_get_servername(handle, lib.TLSEXT_NAMETYPE_host_name)
            text = ffi.string(name) if name != ffi.NULL else None
            answer = _answer(settings, connection_of(handle), text)
            if answer is None:
                return int(lib.SSL_TLSEXT_ERR_OK)
            alert[0] = answer
            return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)

        kept.append(ffi.callback("int (*)(SSL *, int *, void *)", named))
        lib.SSL_CTX_set_tlsext_servername_callback(raw, kept[-1])
    if settings.message_callback is not None:

        def shown(sent: int, version: int, kind: int, data: Any, size: int, *rest: Any) -> None:
            connection = connection_of(rest[0])
            if connection is not None:
                connection.show(bool(sent), version, kind, ffi.buffer(data, size)[:])

        signature = "void (*)(int, int, int, const void *, size_t, SSL *, void *)"
        kept.append(ffi.callback(signature, shown))
        lib.SSL_CTX_set_msg_callback(raw, kept[-1])
    kept.extend(_shared_keys(raw, settings))
    context.set_app_data(kept)


def _answer(settings: Settings, connection: Any, name: bytes | None) -> int | None:
    """The alert that the program's callback for server names wants sent; None for none."""
    callback = settings.sni_callback
    if callback is None or connection is None:
        return None
    try:
        text = None if name is None else name.decode("ascii")
    except UnicodeDecodeError as wrong:
        unraisable(wrong, name)
        return ALERTS["ALERT_DESCRIPTION_INTERNAL_ERROR"]
    try:
        answer = callback(connection.owner, text, connection.context)
    except BaseException as wrong:  # noqa: BLE001 - it must not pass through OpenSSL
        unraisable(wrong, callback)
        return ALERTS["ALERT_DESCRIPTION_HANDSHAKE_FAILURE"]
    if answer is None:
        return None
    try:
        return int(answer.__index__())
    except (AttributeError, TypeError):
        unraisable(
            TypeError(f"'{type(answer).__name__}' object cannot be interpreted as an integer"), callback
        )
        return ALERTS["ALERT_DESCRIPTION_INTERNAL_ERROR"]


def _shared_keys(raw: Any, settings: Settings) -> list[Any]:
    """TLS-PSK (RFC 4279; RFC 8446, section 2.2): keys that both sides know beforehand."""
    used = engine()
    lib, ffi = used.lib, used.ffi
    kept = []

    def put(into: Any, room: int, value: bytes) -> bool:
        if len(value) > room:
            return False
        ffi.memmove(into, value, len(value))
        return True

    if (client := settings.psk_client_callback) is not None:

        def offered(_: Any, hint: Any, identity: Any, rooms: int, psk: Any, room: int) -> int:
            try:
                name, key = client(ffi.string(hint).decode() if hint != ffi.NULL else None)
                encoded = ("" if name is None else name).encode() + b"\0"
                return len(key) if put(identity, rooms, encoded) and put(psk, room, bytes(key)) else 0
            except BaseException as wrong:  # noqa: BLE001 - it must not pass through OpenSSL
                unraisable(wrong, client)
                return 0

        signature = (
            "unsigned int (*)(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
        )
        kept.append(ffi.callback(signature, offered))
        lib.SSL_CTX_set_psk_client_callback(raw, kept[-1])
    if (server := settings.psk_server_callback) is not None:

        def found(_: Any, identity: Any, psk: Any, room: int) -> int:
            try:
                key = server(ffi.string(identity).decode() if identity != ffi.NULL else None)
                return len(key) if put(psk, room, bytes(key)) else 0
            except BaseException as wrong:  # noqa: BLE001 - it must not pass through OpenSSL
                unraisable(wrong, server)
                return 0

        kept.append(
            ffi.callback("unsigned int (*)(SSL *, const char *, unsigned char *, unsigned int)", found)
        )
        if settings.psk_hint is not None:
            lib.SSL_CTX_use_psk_identity_hint(raw, settings.psk_hint)
        lib.SSL_CTX_set_psk_server_callback(raw, kept[-1])
    return kept


def unraisable(wrong: BaseException, where: object) -> None:
    """Tell of an exception that has no caller to go to."""
    if sys.unraisablehook is sys.__unraisablehook__:  # takes no other argument than C's
        traceback.print_exception(wrong)
        return
    told: Any = SimpleNamespace(
        exc_type=type(wrong),
        exc_value=wrong,
        exc_traceback=wrong.__traceback__,
        err_msg="Exception ignored in",
        object=where,
    )
    sys.unraisablehook(told)
