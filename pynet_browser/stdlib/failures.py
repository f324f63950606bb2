"""The exceptions that programs see: Python's own classes, errno by name, Linux's sentences."""

from __future__ import annotations

import _socket
import errno
import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from pynet_browser.errors import BlockingError, PolicyError

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["checked", "explained", "failure", "gaierror", "linux_text"]

LINUX_TEXTS = {
    "EADDRINUSE": "Address already in use",
    "EADDRNOTAVAIL": "Cannot assign requested address",
    "ECONNABORTED": "Software caused connection abort",
    "EHOSTUNREACH": "No route to host",
    "EINPROGRESS": "Operation now in progress",
    "EIO": "Input/output error",
    "EISCONN": "Transport endpoint is already connected",
    "EMFILE": "Too many open files",
    "EMSGSIZE": "Message too long",
    "ENETUNREACH": "Network is unreachable",
    "ENOTCONN": "Transport endpoint is not connected",
    "ENOTSOCK": "Socket operation on non-socket",
    "EOPNOTSUPP": "Operation not supported",
    "ESHUTDOWN": "Cannot send after transport endpoint shutdown",
    "ETIMEDOUT": "Connection timed out",
}
"""What glibc says where Pyodide's C library (musl) says something else: programs and people know these."""

GAI_TEXTS = {
    "EAI_ADDRFAMILY": "Address family for hostname not supported",
    "EAI_NONAME": "Name or service not known",
    "EAI_AGAIN": "Temporary failure in name resolution",
    "EAI_FAIL": "Non-recoverable failure in name resolution",
    "EAI_FAMILY": "ai_family not supported",
    "EAI_SOCKTYPE": "ai_socktype not supported",
    "EAI_SERVICE": "Servname not supported for ai_socktype",
}


UNOPENED = _socket.socket.__new__(_socket.socket)
"""C's methods check their arguments on it as on any other, and then find that there is no descriptor."""


def linux_text(number: int) -> str:
    """What ``os.strerror`` says of an errno on Linux."""
    name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, "")
    return LINUX_TEXTS.get(name) or os.strerror(number)


def gaierror(code: str, message: str = "") -> socket.gaierror:
    """The exception of getaddrinfo for an EAI code."""
    return socket.gaierror(getattr(socket, code, socket.EAI_FAIL), message or GAI_TEXTS.get(code, code))


def failure(code: str, message: str = "") -> OSError:
    """The exception for an errno name or an EAI code, with the proxy's sentence if there is one."""
    if code.startswith("EAI_"):
        return gaierror(code, message)
    number = getattr(errno, code, errno.EIO) if code.isupper() else errno.EIO
    if number == errno.EACCES and message:
        return PolicyError(number, message)
    return OSError(number, message or linux_text(number))


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, or the exception that stands for it."""
    if "error" in answer:
        raise failure(answer["error"], answer["message"])
    return answer


def explained(network: Network, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of ``socket.socket`` whose errors are those that a program on Linux sees.

    What C raises has a number and musl's sentence. The socket knows more: the proxy's sentence, or that the
    error is one of names. And what is wrong with arguments is said by C's own method of that name.
    """
    call = method.__name__

    @wraps(method)
    def wrapper(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (OSError, TypeError, ValueError, OverflowError) as error:
            better = (
                _explanation(network, self, call, error)
                if isinstance(error, OSError)
                else _complaint(call, args, kwargs, error)
            )
            if better is error:
                raise
            raise better from None

    return wrapper


def _explanation(network: Network, sock: socket.socket, call: str, error: OSError) -> OSError:
    number = error.errno
    if number == errno.EDEADLK and not isinstance(error, BlockingError):
        return BlockingError(call)
    if number is None or isinstance(error, socket.gaierror | socket.herror | BlockingError | PolicyError):
        return error
    code, message = network.explain(sock.fileno()) or ("", "")
    if code.startswith("EAI_") and number == errno.EHOSTUNREACH:
        return gaierror(code, message)
    if not message or getattr(errno, code, None) != number:
        message = linux_text(number)
    if error.strerror == message:
        return error
    return failure(code, message) if number == errno.EACCES and code == "EACCES" else OSError(number, message)


def _complaint(call: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
    """What C says of the same arguments, if it does not take them either."""
    if call == "__init__":
        return error  # it was C's, which would open a socket
    try:
        getattr(UNOPENED, call)(*args, **kwargs)
    except (TypeError, ValueError, OverflowError) as better:
        return better
    except OSError:
        pass
    return error
