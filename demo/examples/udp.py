UDP_ECHO = ("127.0.0.1", 7)  # the proxy's UDP echo
PINGS = 10
BURST = 100  # they fit into every buffer

import socket
import time

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(5)  # nobody says that a datagram was lost

for number in range(PINGS):
    start = time.perf_counter()
    udp.sendto(f"ping {number}".encode(), UDP_ECHO)
    answer, (host, port) = udp.recvfrom(2048)
    milliseconds = (time.perf_counter() - start) * 1000
    print(f"{milliseconds:5.1f} ms  {answer.decode()} from {host} port {port}")
    time.sleep(0.1)

# Many at once: each comes back whole, or not at all.
udp.connect(UDP_ECHO)
for number in range(BURST):
    udp.send(number.to_bytes(2) * 250)
back = set()
try:
    while len(back) < BURST:
        answer = udp.recv(2048)
        assert answer == answer[:2] * 250, "not whole"
        back.add(answer[:2])
except TimeoutError:
    print("some were lost")
print(f"{len(back)} of {BURST} came back")
udp.close()
