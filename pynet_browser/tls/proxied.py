"""A connection whose TLS ends at the proxy: in this page its bytes are plain.

It stands where ``connection.Connection`` does, and tells what the proxy has told.
"""

from __future__ import annotations

import json
import socket
import ssl
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pynet_browser.stdlib.failures import checked
from pynet_browser.tls import side
from pynet_browser.tls.carried import carried
from pynet_browser.tls.errors import error, want_read, want_write

if TYPE_CHECKING:
    from pynet_browser.runtime import Reply
    from pynet_browser.tls.context import SSLContext

__all__ = ["Agreement", "ProxiedConnection", "asked"]

Cipher = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the proxy and the host have agreed on; it answers as an ``SSLObject`` does.

    Attributes:
        context: by whose settings.
        server_hostname: with whom.
    """

    context: Any
    server_hostname: str | None
    _version: str
    _cipher: Cipher
    _alpn: str
    _details: dict[str, Any]
    _der: bytes

    @classmethod
    def of(cls, answer: dict[str, Any], context: Any, hostname: str | None) -> Self:
        """What an answer to ``starttls`` says.

        Raises:
            ssl.SSLCertVerificationError: the host's certificate is not the expected one.
            ssl.SSLError: there was no agreement.
            OSError: the proxy could not try, or the connection broke.
        """
        if checked(answer)["type"] == "unsecured":
            raise _refusal(answer)
        cipher = (answer["cipher"], answer["protocol"], answer["bits"])
        details = _tuples(json.loads("".join(answer["details"])))
        return cls(
            context, hostname, answer["version"], cipher, answer["alpn"], details, bytes(answer["data"])
        )

    def getpeercert(self, binary_form: bool = False, /) -> dict[str, Any] | bytes | None:
        """See ``ssl.SSLSocket.getpeercert``."""
        return (self._der or None) if binary_form else self._details

    def selected_alpn_protocol(self) -> str | None:
        """The protocol above that was agreed on (RFC 7301)."""
        return self._alpn or None

    def cipher(self) -> Cipher:
        """Name, version and bits."""
        return self._cipher

    def version(self) -> str:
        """The version that was agreed on."""
        return self._version


def asked(descriptor: int, context: Any, hostname: str | None, timeout: float | None) -> Reply:
    """Ask the proxy to speak TLS on a connection from now on.

    Raises:
        ssl.SSLError: the context holds what the proxy could not do.
    """
    milliseconds = 0 if timeout is None else max(1, int(timeout * 1000))
    wanted = carried(context._settings, hostname) | {"timeout": milliseconds}
    return side.network().start_tls(descriptor, wanted)


class ProxiedConnection:
    """A client's connection; see ``connection.Connection`` for its methods.

    A handshake waits for the proxy, also where the socket does not wait: nothing of it happens in this page.
    """

    server_side = False

    def __init__(
        self,
        context: SSLContext,
        _channel: object,
        *,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        session: object,
    ) -> None:
        if server_side:
            raise _impossible("a server's TLS")
        if session is not None:
            raise _impossible("a session to resume")
        if not owner.suppress_ragged_eofs:
            raise _impossible("an end of the stream that is told from its end of TLS (suppress_ragged_eofs)")
        carried(context._settings, server_hostname)  # it says now what cannot be
        self.context = context
        self.server_hostname = server_hostname
        self.session_reused = False
        self._owner = weakref.ref(owner)
        self._agreement: Agreement | None = None

    @property
    def session(self) -> None:
        """None: it is the proxy's."""
        return

    @session.setter
    def session(self, _session: object) -> None:
        raise _impossible("a session to resume")

    def do_handshake(self) -> None:
        """Have the proxy agree with the host."""
        if self._agreement is None:
            owner: Any = self._owner()
            reply = asked(owner.fileno(), self.context, self.server_hostname, owner.gettimeout() or None)
            self._agreement = Agreement.of(reply.wait(), self.context, self.server_hostname)

    def read(self, size: int, buffer: Any = None) -> bytes | int:
        """What the peer sent: at most ``size`` bytes, or how many of them were put into ``buffer``."""
        self.do_handshake()
        try:
            if buffer is None:
                return socket.socket.recv(self._socket, size)
            return socket.socket.recv_into(self._socket, buffer, size)
        except BlockingIOError:
            raise want_read() from None
        except TimeoutError:
            raise TimeoutError("The read operation timed out") from None

    def write(self, data: Any) -> int:
        """Send some of this, and tell how much."""
        self.do_handshake()
        try:
            return socket.socket.send(self._socket, data)
        except BlockingIOError:
            raise want_write() from None
        except TimeoutError:
            raise TimeoutError("The write operation timed out") from None

    def shutdown(self) -> Any:
        """End TLS, and with it the connection: the proxy has no half that ends alone."""
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        return self._socket

    @property
    def _socket(self) -> Any:
        return self._owner()

    def verify_client_post_handshake(self) -> None:
        """Servers ask; this is a client."""
        raise _impossible("a server's TLS")

    def pending(self) -> int:
        """None: what has come waits in the socket, which ``select`` sees."""
        return 0

    def getpeercert(self, binary_form: bool = False, /) -> dict[str, Any] | bytes | None:
        """See ``ssl.SSLSocket.getpeercert``."""
        if self._agreement is None:
            raise ValueError("handshake not done yet")
        return self._agreement.getpeercert(binary_form)

    def get_verified_chain(self) -> Any:
        """The proxy tells the host's own certificate alone."""
        raise _impossible("the chain of certificates")

    get_unverified_chain = get_verified_chain

    def selected_alpn_protocol(self) -> str | None:
        """The protocol above that was agreed on (RFC 7301)."""
        return self._agreement.selected_alpn_protocol() if self._agreement else None

    def cipher(self) -> Cipher | None:
        """Name, version and bits."""
        return self._agreement.cipher() if self._agreement else None

    def shared_ciphers(self) -> None:
        """None: this is a client."""
        return

    def compression(self) -> None:
        """None: TLS compresses nothing any more."""
        return

    def version(self) -> str | None:
        """The version that was agreed on."""
        return self._agreement.version() if self._agreement else None

    def get_channel_binding(self, _cb_type: str = "tls-unique", /) -> None:
        """None: its ends are the proxy's."""
        return


def _refusal(answer: dict[str, Any]) -> ssl.SSLError:
    number, message, code = ssl.SSLErrorNumber.SSL_ERROR_SSL, answer["message"], answer["verify"]
    if not code:
        return error(ssl.SSLError, number, message, answer["library"], answer["reason"])
    text = f"certificate verify failed: {message}"
    made = error(ssl.SSLCertVerificationError, number, text, answer["library"], answer["reason"])
    made.verify_code, made.verify_message = code, message
    return made


def _impossible(what: str) -> ssl.SSLError:
    return error(
        ssl.SSLError,
        ssl.SSLErrorNumber.SSL_ERROR_SSL,
        f"TLS that ends at the proxy cannot have {what}; install(tls='page') can",
    )


def _tuples(told: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(told, dict):
        return {name: _tuples(value) for name, value in told.items()}
    return tuple(map(_tuples, told)) if isinstance(told, list) else told
