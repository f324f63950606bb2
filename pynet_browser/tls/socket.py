"""``ssl.SSLSocket``: a socket whose bytes are TLS on the wire."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
import warnings
from typing import Any

from pynet_browser.tls.certificates import ENCODING_DER
from pynet_browser.tls.connection import Connection
from pynet_browser.tls.errors import error, want_read, want_write
from pynet_browser.tls.object import checked_hostname
from pynet_browser.tls.proxied import ProxiedConnection
from pynet_browser.tls.side import at_proxy

__all__ = ["SSLSocket"]


class _Wire:
    """A channel over a socket: it waits as the socket does, but for a whole operation no longer than that."""

    def __init__(self, sock: SSLSocket) -> None:
        self._socket = sock
        self._doing = ""
        self._deadline: float | None = None

    def begin(self, doing: str) -> None:
        timeout = self._socket.gettimeout()
        self._doing = doing
        self._deadline = time.monotonic() + timeout if timeout else None

    def receive(self, size: int) -> bytes:
        self._wait(select.POLLIN)
        try:
            return socket.socket.recv(self._socket, size)
        except BlockingIOError:
            raise want_read() from None
        except TimeoutError:
            raise self._late() from None

    def send(self, data: bytes | memoryview) -> int:
        self._wait(select.POLLOUT)
        try:
            return socket.socket.send(self._socket, data)
        except BlockingIOError:
            raise want_write() from None
        except TimeoutError:
            raise self._late() from None

    def _wait(self, event: int) -> None:
        """Many small waits must not add up to more than the timeout: a peer may send a byte at a time."""
        if self._deadline is None:
            return
        waiting = select.poll()
        waiting.register(self._socket.fileno(), event)
        if not waiting.poll(max(0.0, self._deadline - time.monotonic()) * 1000):
            raise self._late()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"The {self._doing} operation timed out")


class SSLSocket(socket.socket):
    """A socket with TLS; ``ssl.SSLContext.wrap_socket`` makes them.

    The methods say which socket's method they mean by its name: they are lent to the ``ssl`` module's own
    class, where ``super()`` would not find it.
    """

    # With values, since the stub has properties by these names.
    server_side: bool = False
    server_hostname: str | None = None
    do_handshake_on_connect: bool = True
    suppress_ragged_eofs: bool = True
    _closed: bool = False
    _connected: bool = False
    _context: Any = None
    _session: Any = None
    _sslobj: Connection | None = None

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise TypeError(
            f"{type(self).__name__} does not have a public constructor. "
            "Instances are returned by SSLContext.wrap_socket()."
        )

    @classmethod
    def _create(  # noqa: PLR0917  the standard library's signature
        cls,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Any = None,
        context: Any = None,
        session: Any = None,
    ) -> Any:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side and server_hostname:
            raise ValueError("server_hostname can only be specified in client mode")
        if server_side and session is not None:
            raise ValueError("session can only be specified in client mode")
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        timeout = sock.gettimeout()
        made = cls.__new__(cls)
        socket.socket.__init__(made, sock.family, sock.type, sock.proto, sock.fileno())
        sock.detach()
        try:
            made._context = context
            made._session = session
            made._closed = False
            made._sslobj = None
            made.server_side = server_side
            made.server_hostname = context._encode_hostname(server_hostname)
            made.do_handshake_on_connect = do_handshake_on_connect
            made.suppress_ragged_eofs = suppress_ragged_eofs
            made._connected = made._is_connected()
            made.settimeout(timeout)
            if made._connected:
                made._begin(do_handshake_on_connect)
        except BaseException:
            socket.socket.close(made)
            raise
        return made

    def _is_connected(self) -> bool:
        try:
            self.getpeername()
        except OSError as wrong:
            if wrong.errno != errno.ENOTCONN:
                raise
        else:
            return True
        # Whoever connected and left before TLS began may have sent something that nobody must take for
        # verified data.
        blocking = self.getblocking()
        self.setblocking(False)
        try:
            left = socket.socket.recv(self, 1)
        except OSError as wrong:
            if wrong.errno not in (errno.ENOTCONN, errno.EINVAL, errno.EAGAIN, errno.EWOULDBLOCK):
                raise
            left = b""
        finally:
            self.setblocking(blocking)
        if left:
            text = "Closed before TLS handshake with data in recv buffer."
            refused = error(ssl.SSLError, errno.ENOTCONN, text)
            refused.reason = text
            raise refused
        return False

    def _begin(self, handshake: bool) -> None:
        checked_hostname(self.server_hostname)
        kind: type[Any] = ProxiedConnection if at_proxy() else Connection
        self._sslobj = kind(
            self._context,
            _Wire(self),
            server_side=self.server_side,
            server_hostname=self.server_hostname,
            owner=self,
            session=self._session,
        )
        if handshake:
            if self.gettimeout() == 0:
                raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
            self.do_handshake()

    @property
    def context(self) -> Any:
        """The context it was made by, or the one that a callback for server names chose."""
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        self._context = context
        if self._sslobj is not None:
            self._sslobj.context = context

    @property
    def session(self) -> Any:
        """What a later connection may resume."""
        return self._sslobj.session if self._sslobj is not None else None

    @session.setter
    def session(self, session: Any) -> None:
        self._session = session
        if self._sslobj is not None:
            self._sslobj.session = session

    @property
    def session_reused(self) -> Any:
        """Whether this one resumed another."""
        return self._sslobj.session_reused if self._sslobj is not None else None

    def dup(self) -> Any:
        """Two sockets cannot share a connection's keys."""
        raise NotImplementedError(f"Can't dup() {type(self).__name__} instances")

    def _checkClosed(self, msg: object = None) -> None:  # noqa: N802 - CPython's name
        """A hook of the standard library's."""

    def _check_connected(self) -> None:
        if not self._connected:
            self.getpeername()  # ENOTCONN, unless it has become connected since

    # ------------------------------------------------------------ reading and writing

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - CPython's name
        """At most ``len`` bytes, or their number if they go into ``buffer``; none at the end."""
        self._checkClosed()
        if self._sslobj is None:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        try:
            return self._sslobj.read(len, buffer)
        except ssl.SSLError as wrong:
            if wrong.args[0] != ssl.SSLErrorNumber.SSL_ERROR_EOF or not self.suppress_ragged_eofs:
                raise
            return b"" if buffer is None else 0

    def write(self, data: Any) -> int:
        """Send this, and tell how much."""
        self._checkClosed()
        if self._sslobj is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        return self._sslobj.write(data)

    def recv(self, buflen: int = 1024, flags: int = 0) -> Any:
        """See ``socket.recv``; there are no flags."""
        self._checkClosed()
        if self._sslobj is None:
            return socket.socket.recv(self, buflen, flags)
        self._no_flags(flags, "recv")
        return self.read(buflen)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> Any:
        """See ``socket.recv_into``; there are no flags."""
        self._checkClosed()
        if not nbytes:
            with memoryview(buffer) as view:
                nbytes = view.nbytes or 1024
        if self._sslobj is None:
            return socket.socket.recv_into(self, buffer, nbytes, flags)
        self._no_flags(flags, "recv_into")
        return self.read(nbytes, buffer)

    def send(self, data: Any, flags: int = 0) -> int:
        """See ``socket.send``; there are no flags."""
        self._checkClosed()
        if self._sslobj is None:
            return socket.socket.send(self, data, flags)
        self._no_flags(flags, "send")
        return self._sslobj.write(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """See ``socket.sendall``; there are no flags."""
        self._checkClosed()
        if self._sslobj is None:
            return socket.socket.sendall(self, data, flags)
        self._no_flags(flags, "sendall")
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            while sent < len(rest):
                sent += self.send(rest[sent:])
        return None

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See ``socket.sendfile``."""
        if self._sslobj is None:
            return socket.socket.sendfile(self, file, offset, count)
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
        return sent

    def sendto(self, data: Any, flags_or_addr: Any, addr: Any = None) -> int:
        """Only before TLS and after it."""
        self._checkClosed()
        if self._sslobj is not None:
            raise ValueError(f"sendto not allowed on instances of {type(self)}")
        rest = (flags_or_addr,) if addr is None else (flags_or_addr, addr)
        return socket.socket.sendto(self, data, *rest)

    def recvfrom(self, buflen: int = 1024, flags: int = 0) -> Any:
        """Only before TLS and after it."""
        self._checkClosed()
        if self._sslobj is not None:
            raise ValueError(f"recvfrom not allowed on instances of {type(self)}")
        return socket.socket.recvfrom(self, buflen, flags)

    def recvfrom_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> Any:
        """Only before TLS and after it."""
        self._checkClosed()
        if self._sslobj is not None:
            raise ValueError(f"recvfrom_into not allowed on instances of {type(self)}")
        return socket.socket.recvfrom_into(self, buffer, nbytes or 0, flags)

    def sendmsg(self, *_args: object, **_kwargs: object) -> Any:
        """Never: it would go out in plain."""
        raise NotImplementedError(f"sendmsg not allowed on instances of {type(self)}")

    def recvmsg(self, *_args: object, **_kwargs: object) -> Any:
        """Never."""
        raise NotImplementedError(f"recvmsg not allowed on instances of {type(self)}")

    def recvmsg_into(self, *_args: object, **_kwargs: object) -> Any:
        """Never."""
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {type(self)}")

    def _no_flags(self, flags: int, call: str) -> None:
        if flags:
            raise ValueError(f"non-zero flags not allowed in calls to {call}() on {type(self)}")

    # ------------------------------------------------------------ the connection's life

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the peer on keys; ``block`` has a socket with a timeout wait for as long as it takes."""
        self._check_connected()
        timeout = self.gettimeout()
        try:
            if timeout == 0 and block:
                self.settimeout(None)
            self._connection().do_handshake()
        finally:
            self.settimeout(timeout)

    def _connection(self) -> Connection:
        if self._sslobj is None:
            raise ValueError("No SSL wrapper around " + str(self))
        return self._sslobj

    def connect(self, address: Any) -> None:
        """Connect, and agree on keys."""
        self._real_connect(address, False)

    def connect_ex(self, address: Any) -> int:
        """The same; an errno instead of most exceptions."""
        return self._real_connect(address, True)

    def _real_connect(self, address: Any, returns: bool) -> int:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected or self._sslobj is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._begin(False)
        try:
            if returns:
                failed = socket.socket.connect_ex(self, address)
            else:
                failed = 0
                socket.socket.connect(self, address)
            if not failed:
                self._connected = True
                if self.do_handshake_on_connect:
                    self.do_handshake()
        except (OSError, ValueError):
            self._sslobj = None
            raise
        return failed

    def accept(self) -> tuple[Any, Any]:
        """The next connection, with TLS."""
        accepted, address = socket.socket.accept(self)
        return self.context.wrap_socket(
            accepted,
            do_handshake_on_connect=self.do_handshake_on_connect,
            suppress_ragged_eofs=self.suppress_ragged_eofs,
            server_side=True,
        ), address

    def unwrap(self) -> Any:
        """End TLS on both sides; the socket goes on in plain."""
        plain = self._connection().shutdown()
        self._sslobj = None
        return plain

    def shutdown(self, how: int) -> None:
        """See ``socket.shutdown``; TLS ends without a word."""
        self._checkClosed()
        self._sslobj = None
        socket.socket.shutdown(self, how)

    def _real_close(self) -> None:
        self._sslobj = None
        socket.socket._real_close(self)  # type: ignore[attr-defined]

    def verify_client_post_handshake(self) -> None:
        """Ask a client of TLS 1.3 for its certificate."""
        self._connection().verify_client_post_handshake()

    # ------------------------------------------------------------ what is known

    def pending(self) -> int:
        """How many bytes can be read without waiting."""
        self._checkClosed()
        return self._sslobj.pending() if self._sslobj is not None else 0

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: DER, or what it says once it was verified; None for none."""
        self._checkClosed()
        self._check_connected()
        return self._connection().getpeercert(binary_form)

    def get_verified_chain(self) -> list[Any]:
        """DER of the certificates from the peer's to a trusted one."""
        return [each.public_bytes(ENCODING_DER) for each in self._connection().get_verified_chain() or ()]

    def get_unverified_chain(self) -> list[Any]:
        """DER of what the peer sent."""
        return [each.public_bytes(ENCODING_DER) for each in self._connection().get_unverified_chain() or ()]

    def selected_npn_protocol(self) -> None:
        """None: NPN is gone."""
        self._checkClosed()
        warnings.warn("ssl NPN is deprecated, use ALPN instead", DeprecationWarning, stacklevel=2)

    def selected_alpn_protocol(self) -> str | None:
        """The protocol that was agreed on (RFC 7301)."""
        self._checkClosed()
        return self._sslobj.selected_alpn_protocol() if self._sslobj is not None else None

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, version and bits of the cipher in use."""
        self._checkClosed()
        return self._sslobj.cipher() if self._sslobj is not None else None

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """What a server could choose from."""
        self._checkClosed()
        return self._sslobj.shared_ciphers() if self._sslobj is not None else None

    def compression(self) -> None:
        """None: TLS compresses nothing any more."""
        self._checkClosed()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """What only the two ends know (RFC 5929)."""
        if self._sslobj is not None:
            return self._sslobj.get_channel_binding(cb_type)
        if cb_type != "tls-unique":
            raise ValueError(f"{cb_type} channel binding type not implemented")
        return None

    def version(self) -> str | None:
        """The version in use, once there is one."""
        return self._sslobj.version() if self._sslobj is not None else None
