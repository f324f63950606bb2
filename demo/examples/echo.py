ECHO = ("127.0.0.1", 7)  # the proxy's echo service

import socket
import time

LINES = ["Hello from the browser.", "How are you?", "Bye."]

with socket.create_connection(ECHO, timeout=5) as connection:
    host, port = connection.getpeername()
    print(f"connected to {host} port {port}")
    for line in LINES:
        start = time.perf_counter()
        connection.sendall(line.encode())
        answer = connection.recv(1024).decode()
        milliseconds = (time.perf_counter() - start) * 1000
        print(f"{milliseconds:5.1f} ms  {answer}")
    connection.shutdown(socket.SHUT_WR)
    print("both ends are done:", connection.recv(1024))
