"""Our own certificate and key, from files of PEM (RFC 7468)."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from pynet_browser.tls.certificates import CERTIFICATE_LABELS, pem_blocks
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import error, of_queue
from pynet_browser.tls.settings import Identity

__all__ = ["load", "read"]

LONGEST_PASSWORD = 1024
"""OpenSSL has room for no more (PEM_BUFSIZE)."""


def load(certfile: Any, keyfile: Any, password: Any) -> Identity:
    """A certificate with those who vouch for it, and its key.

    Args:
        certfile: the path of the first.
        keyfile: that of the key; None where it is in the same file.
        password: of an encrypted key: text, bytes, or a function that returns it.

    Raises:
        OSError: a file cannot be read.
        TypeError: what was given is neither path nor password.
        ValueError: the password is too long.
        ssl.SSLError: there is no certificate, no key, they are not a pair, or the password is wrong.
    """
    text, secret = _contents(certfile, keyfile, password)
    used = engine()
    crypto = used.crypto
    blocks = [block for label, block in pem_blocks(text) if label in CERTIFICATE_LABELS]
    try:
        if not blocks:
            raise _unreadable()
        first, *chain = (crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks)
        key = _key(secret, password)
        scratch = used.ssl.Context(used.ssl.TLS_METHOD)
        scratch.set_cipher_list(b"ALL:@SECLEVEL=0")
        scratch.use_certificate(first.to_cryptography())
        try:
            scratch.use_privatekey(key.to_cryptography_key())
            scratch.check_privatekey()
        except used.ssl.Error as wrong:
            raise of_queue(wrong.args[0]) from None
    except used.ssl.Error as wrong:
        raise of_queue(wrong.args[0]) from None
    except crypto.Error:
        raise _unreadable() from None
    finally:
        used.lib.ERR_clear_error()
    # pyOpenSSL's own objects are on their way out of its interface.
    parts = (each.to_cryptography() for each in chain)
    return Identity(first.to_cryptography(), key.to_cryptography_key(), tuple(parts))


def read(certfile: Any, keyfile: Any, password: Any) -> tuple[str, str, str]:
    """The same for whoever can use it: the certificates and the key as they are written, and the password.

    Raises:
        OSError: a file cannot be read.
        TypeError: what was given is neither path nor password.
        ValueError: the password is too long.
        ssl.SSLError: there is no certificate.
    """
    text, secret = _contents(certfile, keyfile, password)
    blocks = [block for label, block in pem_blocks(text) if label in CERTIFICATE_LABELS]
    keys = [block for label, block in pem_blocks(secret) if label.endswith("PRIVATE KEY")]
    if not (blocks and keys):
        raise _unreadable()
    word = b"" if password is None else _encoded(password() if callable(password) else password)
    return b"".join(blocks).decode("ascii"), keys[0].decode("ascii"), word.decode()


def _contents(certfile: Any, keyfile: Any, password: Any) -> tuple[bytes, bytes]:
    for name, path in (("certfile", certfile), ("keyfile", keyfile)):
        if (path is not None or name == "certfile") and not isinstance(path, str | bytes | os.PathLike):
            raise TypeError(f"{name} should be a valid filesystem path")
    if password is not None and not isinstance(password, str | bytes | bytearray) and not callable(password):
        raise TypeError("password should be a string or callable")
    text = Path(os.fsdecode(certfile)).read_bytes()
    return text, text if keyfile is None else Path(os.fsdecode(keyfile)).read_bytes()


def _key(text: bytes, password: Any) -> Any:
    crypto = engine().crypto
    raised: list[BaseException] = []

    def passphrase(*_: object) -> bytes:
        try:
            return _encoded(password() if callable(password) else password)
        except BaseException as wrong:
            raised.append(wrong)
            raise

    try:
        if password is None:
            return crypto.load_privatekey(crypto.FILETYPE_PEM, text)
        return crypto.load_privatekey(crypto.FILETYPE_PEM, text, passphrase)
    except Exception:
        if raised:
            raise raised[0] from None
        raise


def _encoded(password: Any) -> bytes:
    if isinstance(password, str):
        password = password.encode()
    elif not isinstance(password, bytes | bytearray):
        raise TypeError("password callback must return a string")
    if len(password) > LONGEST_PASSWORD:
        raise ValueError(f"password cannot be longer than {LONGEST_PASSWORD} bytes")
    return bytes(password)


def _unreadable() -> ssl.SSLError:
    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, "PEM lib", "SSL")
