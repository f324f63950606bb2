HTTP = ("127.0.0.1", 80)  # the proxy's small web site
SIZE = 60_000_000

from pynet_browser.http import fetch, wget

site = "http://{}:{}".format(*HTTP)

# The browser asks by itself; what it may not read comes through the proxy.
response = await fetch(f"{site}/json?from=fetch", timeout=5)
seen = await response.json()
print(f"{response.status} via the {response.via}, as", seen["headers"]["User-Agent"], end="\n\n")


# A function of your own is told how far a download is.
def progress(loaded, total):
    bar = "━" * (20 * loaded // total)
    print(f"\r{bar:<20}  {loaded / 1e6:3.0f} of {total / 1e6:.0f} MB", end="")


response = await fetch(f"{site}/bytes/{SIZE}", on_download=progress)
print(f"\n{len(await response.bytes()):,} bytes in memory\n")

# Or into a file.
print("saved as", wget(f"{site}/bytes/{SIZE}", "/tmp/sixty"))
