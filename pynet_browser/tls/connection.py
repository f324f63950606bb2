"""One TLS connection: OpenSSL between memory buffers, and a channel that brings and takes the records.

``SSLSocket`` gives it a socket for a channel, ``SSLObject`` a pair of ``MemoryBIO``. What CPython does in its
C class ``_ssl._SSLSocket`` is done here.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pynet_browser.tls.addresses import packed
from pynet_browser.tls.certificates import Certificate, decoded
from pynet_browser.tls.ciphers import shared
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import of_queue, translated
from pynet_browser.tls.hello import ClientHello
from pynet_browser.tls.messages import told
from pynet_browser.tls.records import Records
from pynet_browser.tls.session import SSLSession

if TYPE_CHECKING:
    from pynet_browser.tls.context import SSLContext

__all__ = ["Channel", "Connection", "connection_of"]

PIECE = 1 << 18
"""How much is encrypted before it is sent: bounds what a large ``send`` takes beside its own data, and is the
size of message that WebSockets carry best."""

TURN = 0.001
"""How often one who waits for another's turn to end looks again, in seconds."""

LARGEST_READ = 16384
"""One record: OpenSSL never answers with more."""


class Channel(Protocol):
    """What carries a connection's records."""

    def begin(self, doing: str) -> None:
        """A handshake, a read or a write begins: the time it may take runs from now."""

    def receive(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end.

        Raises:
            ssl.SSLWantReadError: there is nothing yet, and this channel does not wait.
        """

    def send(self, data: bytes | memoryview) -> int:
        """Send some of this, and tell how much.

        Raises:
            ssl.SSLWantWriteError: there is no room yet, and this channel does not wait.
        """


class Connection:
    """A connection, client's or server's, of a context.

    Args:
        context: the Python context; it says how the peer is judged.
        channel: what carries the records.
        server_side: whether the peer begins.
        server_hostname: whom a client means to reach; an address is checked but not sent (RFC 6066).
        owner: the ``SSLSocket`` or ``SSLObject`` that callbacks are given.
        session: one to resume.
    """

    def __init__(
        self,
        context: SSLContext,
        channel: Channel,
        *,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        session: SSLSession | None,
    ) -> None:
        if server_side and context._settings.is_client_only:
            raise _wrong_side("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and context._settings.is_server_only:
            raise _wrong_side("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")
        self.server_side = server_side
        self.server_hostname = server_hostname
        self._context = context
        self._channel = channel
        self._owner = weakref.ref(owner)
        self._built = context._built()  # kept: OpenSSL calls what it holds, even after another took its place
        self._openssl = engine().ssl.Connection(self._built)
        self._openssl.set_app_data(weakref.ref(self))
        self._records = Records()
        self._lock = threading.RLock()  # OpenSSL calls back in the middle of its work
        self._filling = self._flushing = False
        self._unsent: deque[bytes | memoryview] = deque()
        self._accepted = 0
        self._established = False
        self._closing = False
        self._began = False
        self._hello = ClientHello() if server_side else None
        if context._settings.post_handshake_auth:
            engine().lib.SSL_set_post_handshake_auth(self._openssl._ssl, 1)
        if server_side:
            self._openssl.set_accept_state()
        else:
            self._openssl.set_connect_state()
            self._expect(server_hostname)
        if session is not None:
            self.session = session

    def _expect(self, hostname: str | None) -> None:
        """Have the handshake fail with anybody else (RFC 9525)."""
        if hostname is None:
            return
        lib = engine().lib
        parameters = lib.SSL_get0_param(self._openssl._ssl)
        address = packed(hostname)
        if address is None:
            self._openssl.set_tlsext_host_name(hostname.encode("ascii"))
        if not self._context.check_hostname:
            return
        if address is not None:
            done = lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))
        else:
            name = hostname.encode("ascii")
            done = lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
        if done != 1:
            raise ValueError(f"{hostname!r} cannot be checked")  # never unchecked

    # ------------------------------------------------------------ what may wait

    def do_handshake(self) -> None:
        """Agree with the peer on keys, and judge its certificate.

        Raises:
            ssl.SSLCertVerificationError: the certificate is not the expected one.
            ssl.SSLError: there is no agreement.
        """
        self._channel.begin("handshake")
        if not self._began:
            self._began = True
            self._count("accept" if self.server_side else "connect")
        self._attempt(self._openssl.do_handshake)
        self._succeeded()
        self._flush()

    def read(self, size: int, buffer: Any = None) -> bytes | int:
        """What the peer sent: at most ``size`` bytes, or how many of them were put into ``buffer``.

        None, where the peer said that no more will come.

        Raises:
            ssl.SSLEOFError: the stream ended, and the peer had not said so.
        """
        if buffer is not None:
            with memoryview(buffer) as view, view.cast("B") as room:
                if not 0 < size <= len(room):
                    size = len(room)
                data = self._read(size)
                room[: len(data)] = data
                return len(data)
        if size < 0:
            raise ValueError("size should not be negative")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        if not size:
            return b""
        self._channel.begin("read")
        try:
            data: bytes = self._attempt(self._openssl.recv, min(size, LARGEST_READ))
        except ssl.SSLZeroReturnError:
            if self._openssl.get_shutdown() == engine().ssl.RECEIVED_SHUTDOWN:
                return b""
            raise
        self._succeeded()
        return data

    def write(self, data: Any) -> int:
        """Send all of this, and tell how much.

        Where the channel does not wait, ``ssl.SSLWantWriteError`` asks for the same call again, as with
        OpenSSL: what was encrypted already is not encrypted twice.
        """
        self._channel.begin("write")
        with memoryview(data) as view, view.cast("B") as pieces:
            if len(pieces) < self._accepted:
                raise of_queue([("SSL routines", "", "bad length")])
            self._flush()
            while self._accepted < len(pieces):
                piece = pieces[self._accepted : self._accepted + PIECE]
                self._accepted += self._attempt(self._openssl.send, piece)
                self._succeeded()
                self._flush()
            self._accepted = 0
            if not pieces and not self._established:
                self.do_handshake()
            return len(pieces)

    def shutdown(self) -> Any:
        """Say that no more will come, and wait until the peer does; the socket beneath, if there is one."""
        self._channel.begin("read")
        for _ in range(1 if self._closing else 2):
            # First ours is sent, then the peer's is read.
            if self._attempt(self._openssl.shutdown):
                self._flush()
                break
            self._closing = True
            self._flush()
        return self.owner if isinstance(self.owner, ssl.SSLSocket) else None

    def verify_client_post_handshake(self) -> None:
        """Ask a client of TLS 1.3 for its certificate."""
        used = engine()
        used.lib.ERR_clear_error()
        if used.lib.SSL_verify_client_post_handshake(self._openssl._ssl) != 1:
            try:
                used.ssl._raise_current_error()
            except used.ssl.Error as raised:
                raise of_queue(raised.args[0]) from None

    def _attempt(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Call OpenSSL until it has all it asks of the channel."""
        used = engine()
        while True:
            try:
                with self._lock:
                    used.lib.ERR_clear_error()  # what others left there would count as ours
                    return operation(*args)
            except used.ssl.WantReadError:
                try:
                    self._flush(waits=False)
                except ssl.SSLWantWriteError:
                    if not self._established:
                        raise
                    # What is left belongs to a write that will be taken up; there may be something to read.
            except Exception as raised:  # noqa: BLE001 - callbacks raise what they like
                with contextlib.suppress(OSError):
                    self._flush(waits=False)  # the alert that tells the peer why
                raise translated(raised, self._openssl, self.server_hostname) from None
            self._fill()

    # While one task or thread waits for the channel, another may use the connection: to send while one
    # receives is usual. So each direction has one at a time, and a call of OpenSSL's is never disturbed.

    def _fill(self) -> None:
        """Bring one record; or see what another brings."""
        if self._filling:
            time.sleep(TURN)
            return
        self._filling = True
        try:
            while True:
                data = self._channel.receive(self._records.wanted)
                with self._lock:
                    if not data:
                        self._openssl.bio_shutdown()
                        return
                    self._openssl.bio_write(data)
                self._records.feed(data)
                if self._hello is not None:
                    self._hello.feed(data)
                if self._records.complete:
                    return
        finally:
            self._filling = False

    def _flush(self, *, waits: bool = True) -> None:
        """Send what OpenSSL has written; or leave it to another who is at it, and wait for that or not."""
        with self._lock:
            written = engine().lib.BIO_get_mem_data(self._openssl._from_ssl, engine().ffi.NULL)
            if written:
                self._unsent.append(self._openssl.bio_read(written))
        while self._unsent:
            if not self._flushing:
                self._send()
            elif waits:
                time.sleep(TURN)
            else:
                return

    def _send(self) -> None:
        self._flushing = True
        try:
            while self._unsent:
                data = self._unsent[0]
                sent = self._channel.send(data)
                if sent == len(data):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = memoryview(data)[sent:]
        finally:
            self._flushing = False

    def _succeeded(self) -> None:
        if not self._established:
            self._established = True
            self._count("accept_good" if self.server_side else "connect_good")
            if self.session_reused:
                self._count("hits")
            self._hello = None if self._hello is None else self._hello.ended()
            self._note_root()

    def _note_root(self) -> None:
        """Tell what a peer was found good by: OpenSSL has a chain for a refused one too."""
        lib = engine().lib
        if lib.SSL_get_verify_result(self._openssl._ssl) == lib.X509_V_OK:
            for certificate in (self.get_verified_chain() or ())[-1:]:
                self._context._settings.trust.note(certificate.der)

    def _count(self, what: str) -> None:
        self._context._settings.counted[what] += 1

    # ------------------------------------------------------------ what is known

    @property
    def context(self) -> SSLContext:
        """Its context; a callback for server names may give it another."""
        return self._context

    @context.setter
    def context(self, context: SSLContext) -> None:
        known: type = vars(ssl)["SSLContext"]
        if not isinstance(context, known):
            raise TypeError("The value must be a SSLContext")
        self._openssl.set_context(context._built())
        self._context = context

    @property
    def owner(self) -> Any:
        """The ``SSLSocket`` or ``SSLObject`` it belongs to."""
        return self._owner()

    @property
    def session(self) -> SSLSession | None:
        """What another connection to the same server may resume."""
        found = self._openssl.get_session()
        return None if found is None else SSLSession.of(found, self._context)

    @session.setter
    def session(self, session: SSLSession) -> None:
        known: type = vars(ssl)["SSLSession"]
        if not isinstance(session, known):
            raise TypeError("Value is not a SSLSession.")
        if session._context is not self._context:
            raise ValueError("Session refers to a different SSLContext.")
        if self.server_side:
            raise ValueError("Cannot set session for server-side SSLSocket.")
        if self._established:
            raise ValueError("Cannot set session after handshake.")
        session.resume(self._openssl)

    @property
    def session_reused(self) -> bool:
        """Whether it resumed one."""
        return bool(engine().lib.SSL_session_reused(self._openssl._ssl))

    def getpeercert(self, binary_form: bool = False, /) -> dict[str, Any] | bytes | None:
        """See ``ssl.SSLSocket.getpeercert``."""
        if not self._established:
            raise ValueError("handshake not done yet")
        crypto = engine().crypto
        certificate = self._openssl.get_peer_certificate()
        if certificate is None:
            return None
        der: bytes = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        if binary_form:
            return der
        return decoded(der) if self._openssl.get_verify_mode() & engine().ssl.VERIFY_PEER else {}

    def get_verified_chain(self) -> list[Certificate] | None:
        """From the peer's certificate to the root that it was judged by."""
        return _chain(self._openssl.get_verified_chain())

    def get_unverified_chain(self) -> list[Certificate] | None:
        """What the peer sent."""
        found = _chain(self._openssl.get_peer_cert_chain())
        if self.server_side and (own := self._openssl.get_peer_certificate()) is not None:
            # OpenSSL leaves out the first one where the peer is a client.
            first = _chain([own]) or []
            return first + [each for each in found or () if each not in first]
        return found

    def selected_alpn_protocol(self) -> str | None:
        """The protocol above that was agreed on (RFC 7301)."""
        return self._openssl.get_alpn_proto_negotiated().decode("ascii") or None

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, version and bits."""
        name = self._openssl.get_cipher_name()
        if name is None:
            return None
        return name, self._openssl.get_cipher_version(), self._openssl.get_cipher_bits()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """What a server could have chosen from."""
        if self._hello is None or not self._hello.suites:
            return None
        return shared(self._openssl, self._hello.suites)

    def compression(self) -> None:
        """There is none in TLS 1.3, nor where it is left out because of CRIME."""
        return

    def version(self) -> str | None:
        """The version that was agreed on."""
        return self._openssl.get_protocol_version_name() if self._established else None

    def pending(self) -> int:
        """How many bytes can be read without waiting."""
        return int(self._openssl.pending())

    def get_channel_binding(self, cb_type: str = "tls-unique", /) -> bytes | None:
        """What only the two ends know (RFC 5929, section 3): the first Finished message."""
        if cb_type != "tls-unique":
            raise ValueError(f"{cb_type} channel binding type not implemented")
        first_is_ours = self.session_reused == self.server_side
        found: bytes | None = (
            self._openssl.get_finished() if first_is_ours else self._openssl.get_peer_finished()
        )
        return found

    def show(self, sent: bool, version: int, kind: int, data: bytes) -> None:
        """Give a message to the program that asked to see them."""
        if (callback := self._context._settings.message_callback) is not None:
            callback(self.owner, "write" if sent else "read", *told(version, kind, data), data)


def connection_of(handle: Any) -> Connection | None:
    """The connection that OpenSSL means."""
    found = engine().ssl.Connection._reverse_mapping.get(handle)
    reference = found.get_app_data() if found is not None else None
    return reference() if reference is not None else None


def _chain(certificates: Any) -> list[Certificate] | None:
    if certificates is None:
        return None
    crypto = engine().crypto
    return [Certificate.of(crypto.dump_certificate(crypto.FILETYPE_ASN1, each)) for each in certificates]


def _wrong_side(text: str) -> ssl.SSLError:
    from pynet_browser.tls.errors import error

    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, text)
