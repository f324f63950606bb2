"""Names and addresses, asked of the proxy's host."""

from __future__ import annotations

import socket

import pytest


def test_a_name_has_the_addresses_the_host_says(python):
    answer = python.run(
        "import socket; [list(e[4]) for e in socket.getaddrinfo('localhost', 80, 0, socket.SOCK_STREAM)]"
    )
    expected = [list(e[4]) for e in socket.getaddrinfo("localhost", 80, 0, socket.SOCK_STREAM)]
    assert sorted(answer) == sorted(expected)


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("getaddrinfo('127.0.0.1', 80, type=1)", [[2, 1, 6, "", ["127.0.0.1", 80]]]),
        ("getaddrinfo('::1', '443', 10, 2)", [[10, 2, 17, "", ["::1", 443, 0, 0]]]),
        (
            "getaddrinfo('10.0.0.1', None)",
            [[2, n, p, "", ["10.0.0.1", 0]] for n, p in ((1, 6), (2, 17), (3, 0))],
        ),
        ("getaddrinfo(None, 80, 2, 1, 0, AI_PASSIVE)", [[2, 1, 6, "", ["0.0.0.0", 80]]]),
        ("getaddrinfo(b'127.0.0.1', b'http', 2, 1)", [[2, 1, 6, "", ["127.0.0.1", 80]]]),
        ("getaddrinfo('127.0.0.1', 0, 2, 1, 0, AI_CANONNAME)", [[2, 1, 6, "127.0.0.1", ["127.0.0.1", 0]]]),
        ("gethostbyname('localhost')", "127.0.0.1"),
        ("gethostbyname('')", "0.0.0.0"),
        ("gethostbyname_ex('localhost')", ["localhost", [], ["127.0.0.1"]]),
        ("getnameinfo(('127.0.0.1', 80), NI_NUMERICHOST)", ["127.0.0.1", "http"]),
        ("getnameinfo(('127.0.0.1', 80), NI_NUMERICHOST | NI_NUMERICSERV)", ["127.0.0.1", "80"]),
        ("getservbyname('https')", 443),
        ("getservbyport(22)", "ssh"),
    ],
)
def test_look_ups_answer_as_they_do_on_linux(python, call, answer):
    page = python.run(f"from socket import *; {call}")
    assert page == answer


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        ("getaddrinfo('no-such-host.invalid', 80)", "gaierror", "EAI_NONAME"),
        ("getaddrinfo('localhost', 80, flags=AI_NUMERICHOST)", "gaierror", "EAI_NONAME"),
        ("getaddrinfo('localhost', 'no-such-service')", "gaierror", "EAI_SERVICE"),
        ("getaddrinfo('localhost', 80, family=99)", "gaierror", "EAI_FAMILY"),
        ("getaddrinfo(None, None)", "gaierror", "EAI_NONAME"),
        ("gethostbyname('no-such-host.invalid')", "gaierror", "EAI_NONAME"),
        ("getservbyname('no-such-service')", "OSError", None),
    ],
)
def test_look_ups_fail_as_they_do_on_linux(python, call, kind, code):
    source = f"""
import socket as module
from socket import *
try:
    {call}
except OSError as error:
    names = [n for n in dir(module) if n.startswith("EAI_") and getattr(module, n) == error.errno]
    found = [type(error).__name__, names[:1]]
found
"""
    assert python.run(source) == [kind, [code] if code else []]


def test_names_imported_before_install_answer_too(open_python, proxy):
    page = open_python(install=False)
    source = """
from socket import create_connection, getaddrinfo, socket as Socket
import pynet_browser
await pynet_browser.install(url, token=token)
getaddrinfo("localhost", 80)[0][4][1]
"""
    assert page.run(source, url=proxy.ws_url, token=proxy.token) == 80


def test_addresses_for_c_programs_stand_for_one_name_each(python):
    # Emscripten's own table gives the 257th name the address of the first.
    source = """
from pyodide_js import _module as module
names = [f"host{number}.example" for number in range(1000)]
addresses = [module.DNS.lookup_name(name) for name in names]
back = [module.DNS.lookup_addr(address) for address in addresses]
[len(set(addresses)), back == names, module.DNS.lookup_name("10.1.2.3"), module.DNS.lookup_name("::1")]
"""
    assert python.run(source) == [1000, True, "10.1.2.3", "::1"]
