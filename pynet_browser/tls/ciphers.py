"""Cipher suites as ``ssl`` lists them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from pynet_browser.tls.engine import engine

__all__ = ["described", "shared"]

SUITES = (range(0x0001, 0x00C8), range(0x1301, 0x1306), range(0xC001, 0xC100), range(0xCCA8, 0xCCAF))
"""Where IANA has put the suites that OpenSSL knows."""

OPENSSL = 0x03000000
"""What OpenSSL adds to their numbers."""

KEY_EXCHANGES = {"ECDHE-PSK": "ecdhe-psk", "DHE-PSK": "dhe-psk", "RSA-PSK": "rsa-psk", "PSK": "psk"}

CIPHERS = (
    ("CHACHA20-POLY1305", "chacha20-poly1305", "CHACHA20/POLY1305(256)"),
    ("AES256-GCM", "aes-256-gcm", "AESGCM(256)"),
    ("AES128-GCM", "aes-128-gcm", "AESGCM(128)"),
    ("AES256-CCM", "aes-256-ccm", "AESCCM(256)"),
    ("AES128-CCM", "aes-128-ccm", "AESCCM(128)"),
    ("AES256", "aes-256-cbc", "AES(256)"),
    ("AES128", "aes-128-cbc", "AES(128)"),
    ("CAMELLIA256", "camellia-256-cbc", "Camellia(256)"),
    ("CAMELLIA128", "camellia-128-cbc", "Camellia(128)"),
    ("ARIA256-GCM", "aria-256-gcm", "ARIAGCM(256)"),
    ("ARIA128-GCM", "aria-128-gcm", "ARIAGCM(128)"),
    ("DES-CBC3", "des-ede3-cbc", "3DES(168)"),
    ("NULL", None, "None"),
)
"""How a suite's name tells of its cipher: its name in OpenSSL's library and in its descriptions."""


def shared(connection: Any, offered: list[bytes]) -> list[tuple[str, str, int]]:
    """Name, version and bits of those that both sides have, in our order.

    Args:
        connection: pyOpenSSL's.
        offered: the client's, two bytes each.
    """
    theirs = {found[0]: found for found in _found(connection, offered)}
    return [theirs[name][:3] for name in connection.get_cipher_list() if name in theirs]


def described(connection: Any) -> list[dict[str, Any]]:
    """What ``ssl.SSLContext.get_ciphers`` tells of those that a connection of pyOpenSSL's would offer."""
    known = _known()
    return [_description(*known[name]) for name in connection.get_cipher_list() if name in known]


def _found(connection: Any, numbers: Any) -> Iterator[tuple[str, str, int, int, int]]:
    used = engine()
    all_bits = used.ffi.new("int *")
    for each in numbers:
        suite = used.lib.SSL_CIPHER_find(connection._ssl, each)
        if suite == used.ffi.NULL:
            continue
        name = used.ffi.string(used.lib.SSL_CIPHER_get_name(suite)).decode()
        version = used.ffi.string(used.lib.SSL_CIPHER_get_version(suite)).decode()
        bits = used.lib.SSL_CIPHER_get_bits(suite, all_bits)
        yield name, version, bits, all_bits[0], OPENSSL | int.from_bytes(each)


@functools.cache
def _known() -> dict[str, tuple[str, str, int, int, int]]:
    connection = engine().ssl.Connection(engine().ssl.Context(engine().ssl.TLS_METHOD))
    numbers = (number.to_bytes(2) for numbers in SUITES for number in numbers)
    return {found[0]: found for found in _found(connection, numbers)}


def _description(name: str, version: str, bits: int, all_bits: int, number: int) -> dict[str, Any]:
    exchange, authentication = _agreement(name)
    plain = name.replace("_", "-").replace("AES-", "AES")
    symmetric, encryption = next((rest for key, *rest in CIPHERS if key in plain), [None, "?"])
    aead = any(kind in plain for kind in ("GCM", "CCM", "POLY1305"))
    digest = None if aead else {"SHA384": "sha384", "SHA256": "sha256"}.get(plain.rpartition("-")[2], "sha1")
    shown = {"ecdhe": "ECDH", "dhe": "DH", "any": "any"}.get(exchange, exchange.upper())
    return {
        "id": number,
        "name": name,
        "protocol": version,
        "description": (
            f"{name:<30} {version:<7} Kx={shown:<8} "
            f"Au={authentication if authentication == 'any' else authentication.upper():<5} "
            f"Enc={encryption:<22} Mac={'AEAD' if digest is None else digest.upper():<4}"
        ).rstrip(),
        "strength_bits": bits,
        "alg_bits": all_bits,
        "aead": aead,
        "symmetric": symmetric,
        "digest": digest,
        "kea": f"kx-{exchange}",
        "auth": f"auth-{authentication}",
    }


def _agreement(name: str) -> tuple[str, str]:
    """How keys are exchanged and who is authenticated by what."""
    if name.startswith("TLS_"):
        return "any", "any"
    for prefix, exchange in KEY_EXCHANGES.items():
        if name.startswith(prefix):
            return exchange, "rsa" if exchange == "rsa-psk" else "psk"
    first = name.partition("-")[0]
    exchange = {"ECDHE": "ecdhe", "AECDH": "ecdhe", "DHE": "dhe", "ADH": "dhe"}.get(first, "rsa")
    if first in ("AECDH", "ADH"):
        return exchange, "null"
    return exchange, next((each for each in ("ecdsa", "dss") if f"-{each.upper()}-" in name), "rsa")
