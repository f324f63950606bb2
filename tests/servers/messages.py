"""Servers that take messages: mail, syslog, MQTT."""

from __future__ import annotations

import queue
import re
import socket
import socketserver
import threading
from dataclasses import dataclass
from typing import Any, Self

from aiosmtpd.controller import Controller

from tests.machine import find_mosquitto
from tests.servers.process import ServerProcess, free_port, required


@dataclass(frozen=True)
class ReceivedMail:
    """One message as the SMTP server took it."""

    sender: str
    recipients: list[str]
    content: bytes


class SmtpServer:
    """aiosmtpd in a thread of this process; keeps what it receives in ``messages``.

    Attributes:
        messages: The messages in order of arrival.
    """

    def __init__(self, **options: Any) -> None:
        """``options`` are aiosmtpd's."""
        self.host = "127.0.0.1"
        self.port = free_port()
        self.messages: list[ReceivedMail] = []
        self._controller = Controller(self, hostname=self.host, port=self.port, **options)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Takes one message."""
        self.messages.append(ReceivedMail(envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 Message accepted for delivery"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


@dataclass(frozen=True)
class SyslogMessage:
    """One datagram as the syslog server took it.

    Attributes:
        facility: What the message is about, by its number (RFC 5424 §6.2.1).
        severity: How grave it is, by its number.
        text: The rest.
    """

    facility: int
    severity: int
    text: str


class SyslogServer:
    """A collector of syslog messages over UDP (RFC 5426), in a thread of this process.

    Attributes:
        messages: The messages in order of arrival; ``get(timeout=…)`` waits for the next.
    """

    def __init__(self) -> None:
        self.messages: queue.Queue[SyslogMessage] = queue.Queue()
        collector = self

        class Handler(socketserver.BaseRequestHandler):
            """Takes one datagram apart."""

            def handle(self) -> None:
                collector._take(self.request[0])

        self.host = "127.0.0.1"
        self._server = socketserver.UDPServer((self.host, 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def _take(self, datagram: bytes) -> None:
        message = re.fullmatch(rb"<(\d{1,3})>(.*)", datagram, re.DOTALL)
        assert message is not None, f"not a syslog message: {datagram!r}"
        facility, severity = divmod(int(message[1]), 8)
        self.messages.put(SyslogMessage(facility, severity, message[2].decode()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MqttServer(ServerProcess):
    """Mosquitto, which lets everybody in and keeps nothing."""

    def prepare(self) -> None:
        settings = [f"listener {self.port} {self.host}", "allow_anonymous true", "persistence false"]
        (self.directory / "mosquitto.conf").write_text("\n".join([*settings, ""]))

    def command(self) -> list[str]:
        return [required(find_mosquitto, "mosquitto"), "-c", str(self.directory / "mosquitto.conf")]

    def answers(self) -> bool:
        with socket.create_connection(self.address, timeout=1) as connection:
            # MQTT 3.1.1: CONNECT with a clean session and no name for the client; CONNACK accepts it.
            connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
            return connection.recv(4) == b"\x20\x02\x00\x00"
