HTTP = ("127.0.0.1", 80)  # the proxy's small web site
SIZE = 400_000_000

import http.client
import time

connection = http.client.HTTPConnection(*HTTP, timeout=10)
connection.request("GET", f"/bytes/{SIZE}")
response = connection.getresponse()
buffer = bytearray(1 << 20)

start = shown = time.perf_counter()
received = 0
while count := response.readinto(buffer):
    received += count
    now = time.perf_counter()
    if now - shown > 0.1 or received == SIZE:
        shown = now
        rate = received / (now - start) / 1e6
        bar = "━" * (20 * received // SIZE)
        progress = f"{bar:<20} {received / 1e6:3.0f} MB  {rate:5.1f} MB/s"
        print(f"\r{progress}", end="")
connection.close()

print(f"\n{received:,} bytes in {time.perf_counter() - start:.1f} s")
