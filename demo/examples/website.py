HTTP = ("127.0.0.1", 80)  # the proxy's small web site

import http.client
import urllib.request

# Two requests over one connection.
connection = http.client.HTTPConnection(*HTTP, timeout=5)
for path in ["/json?from=the+browser", "/missing"]:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    print(f"GET {path}: {response.status} {response.reason}")
    print(body, end="\n\n")
connection.close()

# What most programs use.
url = "http://{}:{}/".format(*HTTP)
with urllib.request.urlopen(url, timeout=5) as page:
    print(page.headers["Content-Type"], page.headers["Server"])
    print(page.read().decode())
