"""The exceptions that programs see: the host's own classes, numbers and sentences."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pynet_browser.errors import BlockingError, PolicyError
from pynet_browser.runtime import Network
from pynet_browser.stdlib.failures import (
    GAI_TEXTS,
    LINUX_TEXTS,
    checked,
    explained,
    failure,
    gaierror,
    linux_text,
)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the sentences are those of Linux")


@on_linux
@pytest.mark.parametrize("name", LINUX_TEXTS)
def test_an_errno_has_the_sentence_of_linux(name):
    assert LINUX_TEXTS[name] == os.strerror(getattr(errno, name))


@on_linux
def test_so_has_every_other():
    for number in (*errno.errorcode, 0, 9999):
        assert linux_text(number) == os.strerror(number)


@on_linux
@pytest.mark.parametrize("name", GAI_TEXTS)
def test_an_error_of_getaddrinfo_has_the_sentence_of_glibc(name):
    strerror = ctypes.CDLL(None).gai_strerror
    strerror.restype = ctypes.c_char_p
    sentence = GAI_TEXTS[name]
    if hasattr(socket, name):
        assert strerror(getattr(socket, name)).decode() == sentence
    assert str(gaierror(name)).endswith(sentence)


@pytest.mark.parametrize(
    ("code", "kind", "number"),
    [
        ("ECONNREFUSED", ConnectionRefusedError, errno.ECONNREFUSED),
        ("EAGAIN", BlockingIOError, errno.EAGAIN),
        ("ENOENT", FileNotFoundError, errno.ENOENT),
        ("ETIMEDOUT", TimeoutError, errno.ETIMEDOUT),
        ("EOPNOTSUPP", OSError, errno.EOPNOTSUPP),
        ("EACCES", PermissionError, errno.EACCES),
        ("EAI_NONAME", socket.gaierror, socket.EAI_NONAME),
        ("EAI_WHATEVER", socket.gaierror, socket.EAI_FAIL),
        ("EWHATEVER", OSError, errno.EIO),
        ("errorcode", OSError, errno.EIO),
        ("__doc__", OSError, errno.EIO),
        ("", OSError, errno.EIO),
    ],
)
def test_a_code_has_pythons_own_class_and_a_sentence_in_any_case(code, kind, number):
    for message in ("", "because of the moon"):
        error = failure(code, message)
        assert isinstance(error, kind)
        assert error.errno == number
        assert error.strerror == message or (not message and error.strerror)


def test_what_the_policy_refuses_is_told_from_what_the_system_refuses():
    assert type(failure("EACCES", "the policy says so")) is PolicyError
    assert type(failure("EACCES")) is PermissionError


def test_an_answer_is_itself_or_an_exception():
    assert checked({"port": 5}) == {"port": 5}
    with pytest.raises(ConnectionRefusedError, match="nobody there"):
        checked({"error": "ECONNREFUSED", "message": "nobody there"})


# ── What a method's error becomes ─────────────────────────────────────────────────────────────────────


def raised(error: OSError, code: str = "", message: str = "") -> OSError:
    """What a program sees where C raises this error, and the socket says this of it."""
    network = SimpleNamespace(explain=lambda _fd: (code, message) if code else None)

    def connect(_self: Any) -> None:
        raise error

    method = explained(cast(Network, network), connect)
    with socket.socket() as sock, pytest.raises(OSError) as caught:  # noqa: PT011  any
        method(sock)
    return caught.value


def test_a_method_stays_what_it_is():
    def connect(_self: Any, address: Any) -> Any:
        """Connect."""
        return address

    method = explained(cast(Network, SimpleNamespace()), connect)
    assert (method.__name__, method.__doc__, method(None, 5)) == ("connect", "Connect.", 5)


def test_musls_sentence_becomes_that_of_linux():
    error = raised(OSError(errno.EISCONN, "Socket is connected"))
    assert (error.errno, error.strerror) == (errno.EISCONN, LINUX_TEXTS["EISCONN"])


def test_the_proxys_sentence_is_told_where_it_is_about_this_error():
    error = raised(
        ConnectionRefusedError(errno.ECONNREFUSED, "C"), "ECONNREFUSED", "nobody listens at host.example"
    )
    assert type(error) is ConnectionRefusedError
    assert error.strerror == "nobody listens at host.example"
    other = raised(OSError(errno.EINVAL, "C"), "ECONNREFUSED", "nobody listens at host.example")
    assert other.strerror == os.strerror(errno.EINVAL)


def test_what_the_policy_refuses_is_its_own_exception():
    error = raised(PermissionError(errno.EACCES, "C"), "EACCES", "add a rule")
    assert type(error) is PolicyError
    assert error.strerror == "add a rule"


def test_a_name_that_is_not_found_is_an_error_of_names():
    error = raised(OSError(errno.EHOSTUNREACH, "C"), "EAI_NONAME", "no such name")
    assert type(error) is socket.gaierror
    assert (error.errno, error.strerror) == (socket.EAI_NONAME, "no such name")


def test_a_call_that_cannot_wait_says_which_it_was():
    error = raised(OSError(errno.EDEADLK, "C"))
    assert type(error) is BlockingError
    assert "connect" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out"),
        socket.gaierror(socket.EAI_NONAME, "no such name"),
        socket.herror(1, "Unknown host"),
        BlockingError("recv"),
        PolicyError(errno.EACCES, "the policy says so"),
        OSError(errno.EINVAL, os.strerror(errno.EINVAL)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_it_all_already_stays_as_it_is(error):
    assert raised(error) is error


def test_other_exceptions_are_none_of_ours():
    def listen(_self: Any, _backlog: int) -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        explained(cast(Network, SimpleNamespace()), listen)(None, 5)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("listen", ("5",)),
        ("recv", (-1,)),
        ("bind", ()),
        ("sendto", (b"x",)),
        ("send", ("text",)),
    ],
    ids=repr,
)
def test_what_is_wrong_with_arguments_is_said_by_c(name, arguments):
    def method(_self: Any, *_arguments: Any) -> None:
        raise TypeError("something else")

    method.__name__ = name
    with socket.socket() as sock:
        systems = pytest.raises((TypeError, ValueError))
        with systems as expected:
            getattr(sock, name)(*arguments)
        with pytest.raises(expected.type) as caught:
            explained(cast(Network, SimpleNamespace()), method)(sock, *arguments)
    assert str(caught.value) == str(expected.value)
