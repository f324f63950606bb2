"""The tree of exceptions, and the sentences they make."""

from __future__ import annotations

import errno
import inspect

import pytest

from pynet_browser import errors


def tree() -> dict[str, set[str]]:
    """The bases of each class as the module's docstring draws them; indentation tells the parent."""
    drawn: dict[str, set[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if not hasattr(errors, name) or not name.endswith(("Error", "Warning")):
            continue
        depth = (line.index(name) - 4) // 4
        path[depth:] = [name]
        others = line.partition("(")[2].partition(")")[0] if "(" in line else ""
        drawn[name] = {*path[-2:-1], *filter(None, others.split(", "))}
    return drawn


def test_the_tree_in_the_docstring_is_the_true_one():
    drawn = tree()
    assert set(drawn) == set(errors.__all__)
    for name, bases in drawn.items():
        assert bases == {base.__name__ for base in getattr(errors, name).__bases__} - {"Exception"}, name


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_everything_is_caught_as_the_package_s_own(name):
    assert issubclass(getattr(errors, name), errors.PyNetError)


def test_every_exception_of_the_module_is_public():
    classes = inspect.getmembers(errors, inspect.isclass)
    assert {name for name, value in classes if value.__module__ == errors.__name__} == set(errors.__all__)


def test_a_protocol_error_keeps_its_sentence():
    assert str(errors.ProtocolError("text is not UTF-8")) == "text is not UTF-8"


def test_what_needs_a_page_says_so_and_what_to_do_instead():
    assert str(errors.NotInBrowserError("install()")) == (
        "install() needs Python in the browser (Pyodide 314.0 or newer). On this Python the standard socket "
        "module already reaches the network; to run the proxy for pages use 'pynet-browser serve' "
        "(pip install 'pynet-browser[proxy]')."
    )


def test_a_call_that_cannot_wait_is_an_os_error_with_a_way_out():
    error = errors.BlockingError("recv()")
    assert isinstance(error, OSError)
    assert isinstance(error, RuntimeError)
    assert not isinstance(error, BlockingIOError)  # a program would try again for ever
    assert error.errno == errno.EDEADLK
    assert error.strerror == (
        "recv() would have to wait, and Python cannot be suspended here: this browser lacks JSPI, or "
        "the code was started with runPython or straight from a JavaScript callback. Start it with "
        "runPythonAsync or in a coroutine, or make the socket non-blocking. For sockets that a proxy "
        'carries, install(blocking="auto") lets such calls wait all the same'
    )


def test_a_refused_destination_is_a_permission_error():
    error = errors.PolicyError(errno.EACCES, "the proxy's policy refuses 10.0.0.5:5432")
    assert isinstance(error, PermissionError)
    assert error.errno == errno.EACCES
    assert error.strerror == "the proxy's policy refuses 10.0.0.5:5432"


def test_a_proxy_that_cannot_be_reached_is_a_connection_error():
    error = errors.ProxyUnreachableError(errno.ENETUNREACH, "no proxy answers")
    assert isinstance(error, ConnectionError)
    assert isinstance(error, errors.ProxyError)
    assert (error.errno, error.strerror) == (errno.ENETUNREACH, "no proxy answers")


def test_a_refusal_of_the_proxy_keeps_its_code():
    error = errors.ProxyRefusedError("token", "the token is wrong")
    assert isinstance(error, ConnectionError)
    assert (error.code, error.errno, error.strerror) == ("token", errno.EACCES, "the token is wrong")


def test_the_hint_that_waiting_is_slow_says_what_it_costs_and_how_to_be_told_no_more():
    hint = errors.SlowWaitingWarning()
    assert isinstance(hint, UserWarning)
    assert str(hint) == (
        "a blocking call waited by synchronous requests to the proxy: each wait costs some milliseconds, and "
        "the page stands still meanwhile. Python could not be suspended, because this browser lacks JSPI or "
        "the code was started with runPython or straight from a JavaScript callback: where you can, start it "
        'with runPythonAsync or in a coroutine. install(blocking="xhr") says that this is what you want'
    )
