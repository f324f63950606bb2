"""Unmodified Python in a real page talks TCP."""

from __future__ import annotations


def test_a_blocking_socket_exchanges_bytes_with_an_echo_server(python, echo_server):
    answer = python.run(
        """
        import socket
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"hello")
            answer = connection.recv(100)
        answer.decode()
        """,
        host=echo_server.host,
        port=echo_server.port,
    )
    assert answer == "hello"
