"""Several processes that serve one port: one that listens and places connections, and workers that serve."""
