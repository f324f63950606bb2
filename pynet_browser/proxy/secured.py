"""A page's TCP socket whose TLS may end here."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from typing import Any, ClassVar

from pynet_browser.frames import Close, Failed, Frame, Secured, StartTls
from pynet_browser.proxy.agreement import described, refused, wanted
from pynet_browser.proxy.endpoint import host_error, reason
from pynet_browser.proxy.tcp import HostSocket

__all__ = ["TlsSocket"]

FAREWELL = 5.0
"""Seconds that a host has to answer the end of TLS."""


class TlsSocket(HostSocket):
    """The connection, on which the page may have TLS spoken: once, and to its end.

    While it is being agreed on, nothing passes either way. The event loop's TLS has no half that could end
    alone: where the page ends its own, both do.
    """

    _securing = False
    _secured = False

    def turn_to_tls(self) -> None:
        """What the page has sent until now goes out in plain; what it sends from now on does not.

        Raises:
            OSError: there is no connection, or it has TLS already.
        """
        if self._state != "open" or self._page_ended or self._securing or self._secured:
            raise host_error(errno.EINVAL)
        self._read(False)
        waiting, self._waiting = self._waiting, bytearray()
        if waiting:
            self._write(waiting)  # at whatever pace: behind it nothing goes out in plain
        self._securing = self._stuck = True

    async def secure(self, asked: StartTls, longest: float) -> None:
        """Speak TLS, which was turned to, and answer the page.

        Args:
            asked: what the page wants of it.
            longest: seconds that the handshake may take. If it fails, so has the connection.
        """
        answer = await self._attempt(asked, longest)
        self._securing = False
        self._session.send(answer)
        if isinstance(answer, Secured):
            self._begin()
        else:
            self._transport.abort()
            if self._state == "open":
                self._gone("ECONNRESET")
        self.go_on()

    async def _attempt(self, asked: StartTls, longest: float) -> Frame:
        try:
            async with asyncio.timeout(longest):
                return await self._agree(asked, longest)
        except ssl.SSLError as error:
            return refused(asked.socket, error)
        except TimeoutError:
            return Failed(asked.socket, "ETIMEDOUT", "the handshake has taken too long")
        except ConnectionError as error:  # those of event loops have no errno
            return Failed(asked.socket, "ECONNRESET", error.strerror or "")
        except OSError as error:
            return Failed(asked.socket, *reason(error))
        except (OverflowError, TypeError, ValueError) as error:  # whatever Python says of what a page made up
            return Failed(asked.socket, "EINVAL", str(error))

    async def _agree(self, asked: StartTls, longest: float) -> Frame:
        context = await asyncio.to_thread(wanted, asked)  # reading many certificates takes its time
        if self._state != "open":
            raise host_error(errno.ECONNABORTED)
        if self._backlog:
            raise OSError(errno.EPROTO, "data came in plain before TLS had begun")
        transport = await asyncio.get_running_loop().start_tls(
            self._transport,
            self,
            context,
            server_hostname=asked.hostname or None,
            ssl_handshake_timeout=longest + 1,  # ours is the one that counts
            ssl_shutdown_timeout=FAREWELL,
        )
        connection = transport.get_extra_info("ssl_object") if transport else None
        if transport is None or connection is None:  # so event loops tell of one that was lost meanwhile
            raise ConnectionResetError
        answer = described(asked.socket, connection)
        self._transport, self._secured = transport, True
        self.kind = "tls"
        return answer

    def _begin(self) -> None:
        self._transport.set_write_buffer_limits(high=1)  # with 0, asyncio's is full where it is empty
        self._reading = True
        if self._state in ("open", "host_done"):
            self.resume_writing()
            if self._page_ended:
                self._end()

    # ── What is otherwise where there is TLS ───────────────────────────────────────────────────────

    def go_on(self) -> None:
        """There is room in the session again."""
        if not self._securing:
            super().go_on()

    def _pass_on(self, data: memoryview) -> int:
        return 0 if self._securing else super()._pass_on(data)

    def _read(self, wanted: bool) -> None:
        if not self._securing:
            super()._read(wanted)

    def _end(self) -> None:
        if not self._securing:
            super()._end()

    def _finish_sending(self) -> None:
        if not self._secured:
            super()._finish_sending()
        elif not self._waiting:
            self._transport.close()

    def _close(self, frame: Close) -> None:
        if self._securing:
            self.abort()
        else:
            super()._close(frame)

    def eof_received(self) -> bool:
        """The host has ended its half, and with TLS the whole."""
        return super().eof_received() and not (self._secured or self._securing)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: by an error, or because one end closed it."""
        if self._secured and exc is None and self._state in ("open", "page_done"):
            self.eof_received()  # which is not told of where this end was the first
        super().connection_lost(ConnectionResetError() if isinstance(exc, ssl.SSLError) else exc)

    def _rescue(self) -> None:
        if not (self._secured or self._securing):  # what is left would be ciphertext
            super()._rescue()

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[Any, Any], None]]] = {
        **HostSocket._HANDLERS,
        Close: _close,
    }
