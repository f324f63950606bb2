"""The servers that speak TLS, with certificates of the tests' own authority."""

from __future__ import annotations

import shutil
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.servers.databases import PostgresServer, RedisServer
from tests.servers.messages import SmtpServer
from tests.servers.process import free_port
from tests.tls.certificates import Identity

__all__ = ["HttpsServer", "SecurePostgresServer", "SecureRedisServer", "StartTlsSmtpServer"]


def serving(identity: Identity) -> ssl.SSLContext:
    """A server's context with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.file)
    return context


class HttpsServer:
    """Python's own web server over TLS; it answers every path, and shares with no other origin.

    Attributes:
        port: where it listens, at 127.0.0.1.
    """

    def __init__(self, identity: Identity) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = f"{self.path} for {self.headers.get('X-Name', 'nobody')}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # The handshake belongs to the thread of its connection.
        self._server.socket = serving(identity).wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.port: int = self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class StartTlsSmtpServer(SmtpServer):
    """aiosmtpd, which takes mail within TLS alone."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(tls_context=serving(identity), require_starttls=True)


class SecureRedisServer(RedisServer):
    """redis-server whose port speaks TLS; another, for the test of whether it answers, does not."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity
        self.plain_port = self.port
        self.port = free_port()

    def command(self) -> list[str]:
        file = str(self._identity.file)
        program, *arguments = super().command()
        arguments[arguments.index("--port") + 1] = str(self.plain_port)
        tls = ["--tls-port", str(self.port), "--tls-cert-file", file, "--tls-key-file", file]
        return [program, *arguments, *tls, "--tls-auth-clients", "no"]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.plain_port


class SecurePostgresServer(PostgresServer):
    """PostgreSQL with TLS beside the plain connections."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity

    def prepare(self) -> None:
        super().prepare()
        file = self.directory / "identity.pem"
        shutil.copyfile(self._identity.file, file)
        file.chmod(0o600)
        if self.user is not None:
            shutil.chown(file, self.user)

    def command(self) -> list[str]:
        file = self.directory / "identity.pem"
        return [*super().command(), "--ssl=on", f"--ssl_cert_file={file}", f"--ssl_key_file={file}"]
