"""Serves the demo and the proxy from a checkout: `python serve.py --help`."""

import sys

try:
    from pynet_browser.proxy.cli import main
except ModuleNotFoundError as missing:
    if (missing.name or "").startswith("pynet_browser"):
        raise
    sys.exit(
        f"The proxy needs {missing.name}: `pip install -e '.[proxy]'`, or `make demo`, which does it all."
    )

if __name__ == "__main__":
    main()
