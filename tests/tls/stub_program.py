"""A program on Pyodide's stub of ``ssl``: the stub is put in the standard module's place, and ours into it.

Arguments: the stub's archive, a root's file, host and port of a server that echoes, and its name.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import zipimport
from typing import Any


def load_stub(archive: str) -> None:
    """Nothing of this Python's own ``ssl`` remains."""
    importer = zipimport.zipimporter(archive)
    for name in ("_ssl", "ssl"):
        spec = importlib.util.spec_from_loader(name, importer)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        module.__dict__["__builtins__"] = __builtins__
        exec(compile(importer.get_source(name) or "", f"{archive}/{name}.py", "exec"), module.__dict__)


def main() -> None:
    archive, root, host, port, hostname = sys.argv[1:]
    load_stub(archive)
    import ssl

    early = ssl.SSLContext  # as a program that was imported before
    made_early = ssl.create_default_context(cafile=root)
    error = ssl.SSLCertVerificationError
    stub_version = ssl.OPENSSL_VERSION

    from pynet_browser.stdlib.patches import Patches
    from pynet_browser.tls import patch

    patches = Patches()
    patch.apply(patches)
    untouched = "OpenSSL" not in sys.modules
    found: dict[str, Any] = {"lazy": untouched, "same": ssl.SSLContext is early, "stub": stub_version}

    def talk(context: Any) -> list[Any]:
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=hostname) as client,
        ):
            client.sendall(b"hello")
            return [client.recv(100).decode(), client.version(), type(client).__module__]

    found["adopted"] = talk(made_early)
    context = early(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root)
    found["talked"] = talk(context)
    found["object"] = str(ssl._ASN1Object.fromname("serverAuth").oid)
    found["constants"] = [
        int(ssl.OP_ENABLE_MIDDLEBOX_COMPAT),
        ssl.HAS_TLSv1_3,
        ssl.HAS_NEVER_CHECK_COMMON_NAME,
    ]
    try:
        talk(early(ssl.PROTOCOL_TLS_CLIENT))
    except error as refused:
        found["refused"] = [refused.verify_code, isinstance(refused, ValueError), str(refused)]
    found["version"] = ssl.OPENSSL_VERSION
    patches.undo()
    found["undone"] = ssl.OPENSSL_VERSION
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
