"""A UDP relay that loses packets, and delays them."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from typing import Self

PACKET_MAX = 65536


class UdpRelay:
    """Passes packets on between whoever sends to it and ``target``; use it with ``with``.

    Attributes:
        address: where it listens.
        loss: the share of packets that it loses from now on, each way.
        lost: how many it has lost.
        passed: how many it has passed on.
    """

    def __init__(
        self, target: tuple[str, int], host: str = "127.0.0.1", port: int = 0, *, latency: float = 0.0
    ) -> None:
        self.loss = 0.0
        self.lost = self.passed = 0
        self._target = target
        self._latency = latency
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((host, port))
        self.address: tuple[str, int] = self._front.getsockname()
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._chance = random.Random(1)
        self._over = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._up, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        # Wake those that wait; whoever has noticed already has closed his socket.
        for waiting in (self._front, *list(self._backs.values())):
            with suppress(OSError):
                waiting.sendto(b"", waiting.getsockname())

    def _up(self) -> None:
        while True:
            data, client = self._front.recvfrom(PACKET_MAX)
            if self._over:
                self._front.close()
                return
            if client not in self._backs:
                back = self._backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.bind(("127.0.0.1", 0))
                threading.Thread(target=self._down, args=[back, client], daemon=True).start()
            self._pass(self._backs[client], data, self._target)

    def _down(self, back: socket.socket, client: tuple[str, int]) -> None:
        while True:
            data = back.recv(PACKET_MAX)
            if self._over:
                back.close()
                return
            self._pass(self._front, data, client)

    def _pass(self, through: socket.socket, data: bytes, where: tuple[str, int]) -> None:
        if self._chance.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        if not self._latency:
            self._send(through, data, where)
            return
        timer = threading.Timer(self._latency, self._send, [through, data, where])
        timer.daemon = True
        timer.start()

    def _send(self, through: socket.socket, data: bytes, where: tuple[str, int]) -> None:
        with suppress(OSError):  # it may be over meanwhile
            through.sendto(data, where)
