"""TLS for the standard ``ssl`` module where Python has none: OpenSSL from the ``cryptography`` package.

Pyodide's ``ssl`` is a stub: its classes have the names of CPython's and none of the bodies. So the classes
here are whole (``SSLContext``, ``SSLSocket``, ``SSLObject``, ``MemoryBIO``), speak to OpenSSL through
pyOpenSSL's memory BIOs, and take the stub's place inside the existing module (``patch.py``).

Nothing here imports OpenSSL before a program uses it (``engine.py``).
"""
