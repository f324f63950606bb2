"""Numbers that Emscripten's C library has for errors, by their names: WASI's, not Linux's. Pure."""

from __future__ import annotations

import errno

__all__ = ["EAI", "ERRNO", "errno_of"]

ERRNO = {
    "E2BIG": 1,
    "EACCES": 2,
    "EADDRINUSE": 3,
    "EADDRNOTAVAIL": 4,
    "EAFNOSUPPORT": 5,
    "EAGAIN": 6,
    "EALREADY": 7,
    "EBADF": 8,
    "ECANCELED": 11,
    "ECONNABORTED": 13,
    "ECONNREFUSED": 14,
    "ECONNRESET": 15,
    "EDESTADDRREQ": 17,
    "EEXIST": 20,
    "EFAULT": 21,
    "EHOSTUNREACH": 23,
    "EINPROGRESS": 26,
    "EINTR": 27,
    "EINVAL": 28,
    "EIO": 29,
    "EISCONN": 30,
    "EMFILE": 33,
    "EMSGSIZE": 35,
    "ENAMETOOLONG": 37,
    "ENETDOWN": 38,
    "ENETRESET": 39,
    "ENETUNREACH": 40,
    "ENFILE": 41,
    "ENOBUFS": 42,
    "ENODEV": 43,
    "ENOENT": 44,
    "ENOMEM": 48,
    "ENOPROTOOPT": 50,
    "ENOSYS": 52,
    "ENOTCONN": 53,
    "ENOTSOCK": 57,
    "EPERM": 63,
    "EPIPE": 64,
    "EPROTONOSUPPORT": 66,
    "EPROTOTYPE": 67,
    "ETIMEDOUT": 73,
    "ESOCKTNOSUPPORT": 137,
    "EOPNOTSUPP": 138,
    "ENOTSUP": 138,
    "ESHUTDOWN": 140,
    "EHOSTDOWN": 142,
}

EAI = {
    "EAI_BADFLAGS": -1,
    "EAI_NONAME": -2,
    "EAI_NODATA": -2,
    "EAI_AGAIN": -3,
    "EAI_FAIL": -4,
    "EAI_FAMILY": -6,
    "EAI_SOCKTYPE": -7,
    "EAI_SERVICE": -8,
    "EAI_MEMORY": -10,
    "EAI_SYSTEM": -11,
    "EAI_OVERFLOW": -12,
}
"""What ``getaddrinfo`` returns."""


def errno_of(number: int | None) -> int:
    """The number there of an error that this host numbers so; ``EIO`` for what has none."""
    return ERRNO.get(errno.errorcode.get(number or 0, ""), ERRNO["EIO"])
