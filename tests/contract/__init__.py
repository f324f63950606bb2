"""What sockets promise, as programs that any Python can run.

The same source runs on the host, where Linux sets the standard, and in the page: what passes there and fails
here is a difference a program could see. Only the standard library is used, and nothing that knows about
either place. There are no threads: both ends of a connection are in the hands of one program.

A suite is a module with CASES: functions by their sentence of a name. A case's parameters name what it needs
from outside, as tests/contract_peers.py offers it; most need nothing.
"""

import importlib
import inspect

SUITES = (
    "stream",
    "pairs",
    "listener",
    "servers",
    "datagram",
    "associated",
    "groups",
    "local",
    "descriptors",
    "options",
    "waiting",
)


def names(given=None):
    """Suite and name of each case; only those that need nothing but what is ``given``, if it is."""
    return [
        (suite, name)
        for suite in SUITES
        for name, case in _cases(suite).items()
        if given is None or needs(case) <= set(given)
    ]


def demands(suite, name):
    """What a case asks of its network beyond connections and datagrams to others, by `cases.needing`.

    ``both-ends``: it is reached by others, too.
    """
    case = _cases(suite)[name]
    alone = suite != "stream" and not any("echo" in need for need in needs(case))
    return getattr(case, "capabilities", frozenset()) | ({"both-ends"} if alone else frozenset())


def missing(suite, name, peers):
    """What a case needs and is not there."""
    return sorted(needs(_cases(suite)[name]) - set(peers))


def run(suite, name, peers):
    """Runs a case; it fails with an exception."""
    case = _cases(suite)[name]
    case(**choose(case, peers))


def choose(function, peers):
    """Those of the peers that a function wants; addresses that travelled as JSON are tuples again."""
    wanted = {need: peers[need] for need in needs(function)}
    return {need: tuple(value) if isinstance(value, list) else value for need, value in wanted.items()}


def needs(function):
    """The names of what a case, or whatever makes something for cases, wants to be given."""
    return set(inspect.signature(function).parameters)


def _cases(suite):
    return importlib.import_module(f"tests.contract.{suite}").CASES
