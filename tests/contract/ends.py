"""Connected pairs of streams of every kind, both ends held by the same program."""

import contextlib
import functools
import socket

from tests.contract.cases import PATIENCE, accepting, connecting, folder, listening, unused_path


@contextlib.contextmanager
def tcp():
    with listening() as listener, connecting(listener) as client, accepting(listener) as server:
        yield client, server


@contextlib.contextmanager
def tcp6(host6):
    address = (host6, 0)
    with (
        listening(socket.AF_INET6, address) as listener,
        connecting(listener) as client,
        accepting(listener) as server,
    ):
        yield client, server


@contextlib.contextmanager
def unix():
    with (
        folder() as where,
        listening(socket.AF_UNIX, unused_path(where)) as listener,
        connecting(listener) as client,
        accepting(listener) as server,
    ):
        yield client, server


@contextlib.contextmanager
def socketpair():
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(PATIENCE)
        other.settimeout(PATIENCE)
        yield one, other


KINDS = {"tcp": tcp, "tcp6": tcp6, "unix": unix, "socketpair": socketpair}
INTERNET = ("tcp", "tcp6")
LOCAL = ("unix", "socketpair")


def over(cases, *kinds):
    """Registers a case of two connected ends once for each of these kinds of connection."""

    def register(function):
        for kind in kinds:
            cases[f"{function.__name__}_over_{kind}"] = _connected(KINDS[kind], function)
        return function

    return register


def _connected(make, function):
    @functools.wraps(make)  # what it needs is what the connection needs
    def case(**needs):
        with make(**needs) as (one, other):
            function(one, other)

    return case
