ECHO = ("127.0.0.1", 7)  # the proxy's echo service
SOCKETS = 50
ROUNDS = 40

import random
import select
import socket
import time

start = time.perf_counter()
connections = [socket.create_connection(ECHO, timeout=5) for _ in range(SOCKETS)]
print(f"{SOCKETS} connections after {(time.perf_counter() - start) * 1000:.0f} ms")

# Each sends a message of its own, and the next one as soon as it has its answer.
start = time.perf_counter()
expected = {}
remaining = dict.fromkeys(connections, ROUNDS)
for connection in connections:
    expected[connection] = bytearray(random.randbytes(random.randint(500, 5000)))
    connection.sendall(expected[connection])
answers = 0
while remaining:
    readable, _, _ = select.select(remaining, [], [], 5)
    for connection in readable:
        data = connection.recv(65536)
        assert expected[connection].startswith(data), "an answer for somebody else"
        del expected[connection][: len(data)]
        if expected[connection]:
            continue
        answers += 1
        remaining[connection] -= 1
        if remaining[connection]:
            expected[connection] += random.randbytes(random.randint(500, 5000))
            connection.sendall(expected[connection])
        else:
            del remaining[connection]
        if answers % 400 == 0:
            print(f"{answers} answers, every one to its own connection")

seconds = time.perf_counter() - start
print(f"{answers / seconds:.0f} round trips per second over {SOCKETS} sockets")
for connection in connections:
    connection.close()
