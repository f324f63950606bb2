"""A token that is revoked, as Python in the page sees it."""

from __future__ import annotations

TOKENS = """
[tokens.ada]
token = "the token of ada"
"""

OPEN = """
import asyncio, builtins, socket
import pynet_browser
await pynet_browser.install(url, token="the token of ada")
builtins.old = socket.create_connection(where, 30)
old.sendall(b"old")
old.recv(3, socket.MSG_WAITALL).decode()
"""

SAID = """
import socket, pynet_browser
try:
    {}
    said = None
except OSError as error:
    said = [type(error).__name__, error.errno, str(error)]
said
"""


def test_its_sockets_fail_with_the_sentence_and_nothing_new_is_let_in(
    open_python, start_proxy, echo_server, tmp_path
):
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(TOKENS)
    proxy = start_proxy("--tokens", str(tokens))
    page = open_python(proxy, install=False)
    assert page.run(OPEN, url=proxy.ws_url, where=list(echo_server.address), timeout=60) == "old"
    tokens.write_text("[tokens]")
    proxy.hang_up()
    names = "[errno.ECONNRESET, errno.ENETUNREACH, errno.EACCES]"
    reset, unreachable, refused = page.run(f"import errno; {names}")
    kind, number, sentence = page.run(SAID.format("old.recv(1)"), timeout=30)
    assert (kind, number) == ("ConnectionResetError", reset)
    assert "the token 'ada' was revoked" in sentence
    another = SAID.format("socket.create_connection(where, 30)")
    kind, number, sentence = page.run(another, where=list(echo_server.address))
    assert (kind, number) == ("OSError", unreachable)
    assert "the token 'ada' was revoked" in sentence
    again = 'pynet_browser.uninstall(); await pynet_browser.install(url, token="the token of ada")'
    kind, number, sentence = page.run(SAID.format(again), url=proxy.ws_url)
    assert (kind, number) == ("ProxyRefusedError", refused)
    assert "the token 'ada' was revoked" in sentence
