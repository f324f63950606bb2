NAMES = ["localhost", "no-such-host.invalid"]  # add names that the proxy's machine knows

import socket

# Names are looked up where the proxy runs: its hosts file, its name servers.
for name in NAMES:
    try:
        found = socket.getaddrinfo(name, "http", type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        print(f"{name}: {error}")
        continue
    for family, _, _, _, address in found:
        print(f"{name}: {address[0]} port {address[1]} ({socket.AddressFamily(family).name})")

print("the host of 127.0.0.1 is", socket.getnameinfo(("127.0.0.1", 443), 0))
print("smtp is port", socket.getservbyname("smtp", "tcp"))
