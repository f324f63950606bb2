CLOSED = ("127.0.0.1", 9)  # nobody listens here
FORBIDDEN = ("169.254.169.254", 80)  # a cloud's metadata: every proxy refuses it

import errno
import socket

# What goes wrong at the proxy is an ordinary Python exception here.
try:
    socket.create_connection(CLOSED, timeout=5)
except ConnectionRefusedError as error:
    print(f"{errno.errorcode[error.errno]}: {error}")


def fetch_secrets():
    with socket.create_connection(FORBIDDEN, timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(65536)


# A refusal by the proxy's policy says what to change. Nobody catches this one.
fetch_secrets()
