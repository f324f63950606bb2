NAMES = ["localhost", "no-such-host.invalid"]  # add your own

import socket

# Names are looked up where the proxy runs, as programs there do.
for name in NAMES:
    try:
        found = socket.getaddrinfo(name, "http", proto=socket.IPPROTO_TCP)
    except socket.gaierror as error:
        print(f"{name}: {error}")
        continue
    for family, _, _, _, address in found:
        print(f"{name}: {address[0]} port {address[1]} ({family.name})")

print("127.0.0.1 is", socket.gethostbyaddr("127.0.0.1")[0])
print("smtp is port", socket.getservbyname("smtp", "tcp"))
