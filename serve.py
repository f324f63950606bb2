"""Serves the demo and the proxy from a checkout: `python serve.py --help`."""

from pynet_browser.proxy.cli import main

if __name__ == "__main__":
    main()
