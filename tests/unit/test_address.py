"""What people write for the address of their proxy."""

from __future__ import annotations

import pytest

from pynet_browser import proxy_address

ADDRESSES = {
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


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_means_a_web_socket_and_a_token(url):
    assert proxy_address(url) == ADDRESSES[url]


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
    ],
)
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(ValueError, match="is no address of a proxy; expected something like ws://") as caught:
        proxy_address(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["ws://[::1/pynet", "ws://127.0.0.1:99999/", "ws://127.0.0.1:port/"])
def test_an_address_that_is_malformed_is_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011  the sentence is Python's own
        proxy_address(url)
