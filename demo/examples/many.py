ECHO = ("127.0.0.1", 7)  # the proxy's echo service
SOCKETS = 50
ROUNDS = 40

import random
import select
import socket
import time


def say_something(connection):
    words = random.randbytes(random.randint(500, 5000))
    expected[connection] = words
    connection.sendall(words)


start = time.perf_counter()
connections = [socket.create_connection(ECHO) for _ in range(SOCKETS)]
milliseconds = (time.perf_counter() - start) * 1000
print(f"{SOCKETS} connections in {milliseconds:.0f} ms")

# Each says something new when its last words have come back.
start = time.perf_counter()
expected = {}
rounds = dict.fromkeys(connections, ROUNDS)
for connection in connections:
    say_something(connection)
answers = 0
while rounds:
    readable, _, _ = select.select(rounds, [], [], 5)
    for connection in readable:
        data = connection.recv(65536)
        assert expected[connection].startswith(data), "not its own words"
        expected[connection] = expected[connection][len(data) :]
        if expected[connection]:
            continue  # some are still on their way
        answers += 1
        rounds[connection] -= 1
        if rounds[connection]:
            say_something(connection)
        else:
            del rounds[connection]
        if answers % 400 == 0:
            print(f"{answers} answers, each to its own connection")

seconds = time.perf_counter() - start
print(f"{answers / seconds:.0f} answers per second")
for connection in connections:
    connection.close()
