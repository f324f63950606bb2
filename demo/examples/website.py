HTTP = ("127.0.0.1", 80)  # the proxy's small web site

import http.client
import json
import urllib.request

# Two requests over one connection.
connection = http.client.HTTPConnection(*HTTP, timeout=5)
for path in ["/json?from=the+browser", "/missing"]:
    connection.request("GET", path, headers={"User-Agent": "http.client"})
    response = connection.getresponse()
    body = response.read()
    print(f"GET {path}: {response.status} {response.reason}, {len(body)} bytes")
    if response.status == 200:
        print(json.dumps(json.loads(body), indent=2))
connection.close()

# What most programs use.
with urllib.request.urlopen("http://{}:{}/".format(*HTTP), timeout=5) as page:
    print(page.headers["Content-Type"])
    print(page.read().decode())
