CLOSED = ("127.0.0.1", 9)  # nobody listens here
METADATA = ("169.254.169.254", 80)  # where clouds keep keys

import errno
import socket

# What goes wrong at the proxy is an ordinary exception here.
try:
    socket.create_connection(CLOSED, timeout=5)
except ConnectionRefusedError as error:
    print(f"{errno.errorcode[error.errno]}: {error}")

try:
    socket.create_connection(("no-such-host.invalid", 80))
except socket.gaierror as error:
    print(f"gaierror: {error}")


def fetch_keys():
    with socket.create_connection(METADATA, timeout=5) as server:
        server.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return server.recv(65536)


# Every proxy refuses this one, and says how to change that.
fetch_keys()
