"""Our classes and numbers in the ``ssl`` module that is there, and out of it again.

The module is imported before anything of ours, and what others took from it then must work too. So a class
that Python made is given our methods, and its exceptions stay; a class made in C is replaced.
"""

from __future__ import annotations

import enum
import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls import constants, functions
from pynet_browser.tls.bio import MemoryBIO
from pynet_browser.tls.certificates import ENCODING_DER, ENCODING_PEM, Certificate, decoded_file
from pynet_browser.tls.context import SSLContext
from pynet_browser.tls.identifiers import nid2obj, txt2obj
from pynet_browser.tls.object import SSLObject
from pynet_browser.tls.session import SSLSession
from pynet_browser.tls.socket import SSLSocket

__all__ = ["announce", "apply"]

C_MODULE: Any = sys.modules["_ssl"]

CLASSES = (SSLContext, SSLSocket, SSLObject, MemoryBIO, SSLSession)

ENUMERATIONS: tuple[tuple[str, Any, Mapping[str, int]], ...] = (
    ("_SSLMethod", enum.IntEnum, constants.PROTOCOLS),
    ("Options", enum.IntFlag, constants.OPTIONS),
    ("AlertDescription", enum.IntEnum, constants.ALERTS),
    ("VerifyFlags", enum.IntFlag, constants.VERIFY_FLAGS),
    ("VerifyMode", enum.IntEnum, constants.MODES),
)

UNTOUCHED = {"__dict__", "__weakref__", "__module__", "__qualname__", "__annotations__", "__firstlineno__"}

_applied: Patches | None = None


def apply(patches: Patches) -> None:
    """Have the ``ssl`` module speak TLS through pyOpenSSL, which is imported when it is first needed."""
    global _applied
    stub = not hasattr(C_MODULE, "_SSLSocket")
    for ours in CLASSES:
        _lend(patches, ours)
    patches.set(ssl.SSLContext, "sslsocket_class", ssl.SSLSocket)
    patches.set(ssl.SSLContext, "sslobject_class", ssl.SSLObject)
    _set_numbers(patches)
    _set_functions(patches, stub)
    if stub:
        _mend(patches)
    _applied = patches
    patches.at_undo(_forget)


def announce(version: str, number: int, parts: tuple[int, ...]) -> None:
    """Tell which OpenSSL there is, now that it is known."""
    if _applied is None:
        return
    told = {"OPENSSL_VERSION": version, "OPENSSL_VERSION_NUMBER": number, "OPENSSL_VERSION_INFO": parts}
    for name, value in (*told.items(), ("_OPENSSL_API_VERSION", parts)):
        for module in (ssl, C_MODULE):
            _applied.set(module, name, value)


def _forget() -> None:
    global _applied
    _applied = None


def _lend(patches: Patches, ours: type) -> None:
    theirs = vars(ssl)[ours.__name__]
    if any(base.__module__ == C_MODULE.__name__ and _is_of_c(base) for base in theirs.__mro__):
        patches.set(ours, "__module__", ssl.__name__)
        patches.set(ssl, ours.__name__, ours)
        if ours.__name__ in vars(C_MODULE):
            patches.set(C_MODULE, ours.__name__, ours)
        return
    for base in reversed(ours.__mro__[:-1]):
        for name, value in vars(base).items():
            if name not in UNTOUCHED:
                patches.set(theirs, name, value)


def _is_of_c(owner: type) -> bool:
    """Its instances have room for what C keeps in them, and are made by C alone."""
    return "__dict__" not in vars(owner)


def _set_numbers(patches: Patches) -> None:
    plain = constants.VERSIONS | constants.HOST_FLAGS | constants.ERRORS | constants.FEATURES
    for name, value in plain.items():
        patches.set(C_MODULE, name, value)
        if name in constants.FEATURES:
            patches.set(ssl, name, value)
    for title, kind, numbers in ENUMERATIONS:
        for name, value in numbers.items():
            patches.set(C_MODULE, name, value)
            patches.set(ssl, name, value)
        patches.set(ssl, title, None)
        prefix = next(iter(numbers)).partition("_")[0] + "_"
        # The way that ssl itself makes them: members in the order of their values, put into the module.
        kind._convert_(title, ssl.__name__, _starting(prefix), source=C_MODULE)
    method = vars(ssl)["_SSLMethod"]
    method.PROTOCOL_SSLv23 = method.PROTOCOL_TLS
    patches.set(ssl, "PROTOCOL_SSLv23", method.PROTOCOL_TLS)
    names = {value: name for name, value in method.__members__.items()}
    patches.set(ssl, "_PROTOCOL_NAMES", names)
    for module in (ssl, C_MODULE):
        patches.set(module, "_DEFAULT_CIPHERS", constants.DEFAULT_CIPHERS)
        patches.set(
            module, "HOSTFLAG_NEVER_CHECK_SUBJECT", constants.HOST_FLAGS["HOSTFLAG_NEVER_CHECK_SUBJECT"]
        )
    patches.set(ssl, "_RESTRICTED_SERVER_CIPHERS", constants.DEFAULT_CIPHERS)
    patches.set(C_MODULE, "ENCODING_PEM", ENCODING_PEM)
    patches.set(C_MODULE, "ENCODING_DER", ENCODING_DER)


def _starting(prefix: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix) and name != "PROTOCOL_SSLv23"


def _set_functions(patches: Patches, stub: bool) -> None:
    patches.set(C_MODULE, "_SSLContext", SSLContext)
    patches.set(C_MODULE, "Certificate", Certificate)
    patches.set(C_MODULE, "_test_decode_cert", decoded_file)
    for name, function in (("txt2obj", txt2obj), ("nid2obj", nid2obj)):
        patches.set(C_MODULE, name, function)
        patches.set(ssl, f"_{name}", function)
    default = ssl._create_default_https_context is ssl.create_default_context
    patches.set(ssl, "create_default_context", functions.create_default_context)
    if default:  # a program may have chosen otherwise (PEP 476)
        patches.set(ssl, "_create_default_https_context", functions.create_default_context)
    patches.set(ssl, "_create_unverified_context", functions.create_unverified_context)
    patches.set(ssl, "_create_stdlib_context", functions.create_unverified_context)
    if stub:
        patches.set(C_MODULE, "get_default_verify_paths", functions.default_verify_paths)
        patches.set(ssl, "get_server_certificate", functions.get_server_certificate)


def _mend(patches: Patches) -> None:
    """What else the stub has wrong."""
    verification: Any = ssl.SSLCertVerificationError
    before = verification.__bases__
    verification.__bases__ = (ssl.SSLError, ValueError)
    patches.at_undo(lambda: setattr(verification, "__bases__", before))
    patches.set(ssl.SSLError, "__str__", _sentence)
    names: Any = vars(ssl)["_ASN1Object"]
    made = names.__base__.__new__
    patches.set(names, "__new__", lambda cls, oid: made(cls, *txt2obj(oid)))
    patches.set(names, "fromnid", classmethod(lambda cls, nid: made(cls, *nid2obj(nid))))
    patches.set(names, "fromname", classmethod(lambda cls, name: made(cls, *txt2obj(name, name=True))))


def _sentence(self: ssl.SSLError) -> str:
    return self.strerror if isinstance(self.strerror, str) else str(self.args)
