CLOCK = ("127.0.0.1", 13)  # the proxy's clock service

import socket

with socket.create_connection(CLOCK, timeout=5) as connection:
    print("It goes on until you press Stop.")
    while data := connection.recv(1024):  # blocks
        print(data.decode(), end="")
