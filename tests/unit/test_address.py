"""What people write for the address of their proxy, or of a server that others wrote."""

from __future__ import annotations

import pytest

from pynet_browser.address import Server, server_at

PROXIES = {
    "ws://127.0.0.1:8765/pynet": ("ws://127.0.0.1:8765/pynet", ""),
    "wss://proxy.example/pynet": ("wss://proxy.example/pynet", ""),
    "http://127.0.0.1:8765/?token=s3cret": ("ws://127.0.0.1:8765/pynet", "s3cret"),
    "http://127.0.0.1:8765?token=s3cret": ("ws://127.0.0.1:8765/pynet", "s3cret"),
    "https://proxy.example": ("wss://proxy.example/pynet", ""),
    "HTTPS://Proxy.Example/": ("wss://Proxy.Example/pynet", ""),
    "https://proxy.example/behind/a/path": ("wss://proxy.example/behind/a/path", ""),
    "http://[::1]:8765/": ("ws://[::1]:8765/pynet", ""),
    "ws://127.0.0.1:8765/pynet?token=a%2Bb%26c": ("ws://127.0.0.1:8765/pynet", "a+b&c"),
    "ws://127.0.0.1:8765/pynet?token=first&token=second": ("ws://127.0.0.1:8765/pynet", "first"),
    "ws://127.0.0.1:8765/pynet?token=": ("ws://127.0.0.1:8765/pynet", ""),
    "ws://127.0.0.1:8765/pynet#part": ("ws://127.0.0.1:8765/pynet", ""),
}

OTHERS = {
    "wisp://127.0.0.1:6001/": Server("wisp", "ws://127.0.0.1:6001/"),
    "wisps://wisp.example": Server("wisp", "wss://wisp.example/"),
    "wisp://wisp.example/a/path": Server("wisp", "ws://wisp.example/a/path/"),
    "wisp://wisp.example/wisp/?token=s3cret": Server("wisp", "ws://wisp.example/wisp/?token=s3cret"),
    "wisp://bob:p%40ss@wisp.example/": Server("wisp", "ws://wisp.example/", "p@ss", "bob"),
    "wisp://:p@[::1]:6001/#part": Server("wisp", "ws://[::1]:6001/", "p"),
    "websockify://127.0.0.1:6080": Server("websockify", "ws://127.0.0.1:6080"),
    "websockify://127.0.0.1:6080/?token=desk": Server("websockify", "ws://127.0.0.1:6080/?token=desk"),
    "websockifys://host/websockify/{host}/{port}": Server(
        "websockify", "wss://host/websockify/{host}/{port}"
    ),
}


@pytest.mark.parametrize("url", PROXIES)
def test_an_address_means_a_web_socket_and_a_token(url):
    assert server_at(url) == Server("proxy", *PROXIES[url])


@pytest.mark.parametrize("url", OTHERS)
def test_a_scheme_tells_what_others_wrote(url):
    assert server_at(url) == OTHERS[url]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8765",
        "proxy.example/pynet",
        "/pynet",
        "ftp://proxy.example/",
        "javascript:alert(1)",
        "ws://",
        "ws:///pynet",
        "ws://:8765/pynet",
        "ws://127.0.0.1:0/pynet",
        "wisp://",
        "wisp:///path/",
        "websockify://:6080/",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(ValueError, match="is no address of a proxy; expected something like ws://") as caught:
        server_at(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["ws://[::1/pynet", "ws://127.0.0.1:99999/", "wisp://127.0.0.1:port/"])
def test_an_address_that_is_malformed_is_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011  the sentence is Python's own
        server_at(url)


@pytest.mark.parametrize("url", ["websockify://bob:pass@host/", "websockify://bob@host/"])
def test_a_websockify_takes_no_password(url):
    with pytest.raises(ValueError, match="no user and password"):
        server_at(url)


def test_the_name_of_a_user_has_its_bound():
    with pytest.raises(ValueError, match="255 bytes"):
        server_at(f"wisp://{'u' * 256}@host/")
