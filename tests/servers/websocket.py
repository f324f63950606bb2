"""WebSocket."""

from __future__ import annotations

import threading
from typing import Self

from websockets.sync.server import ServerConnection, serve


class WebSocketEcho:
    """Sends every message back, in threads of this process, until the client closes.

    Attributes:
        url: Its address.
    """

    def __init__(self) -> None:
        self._server = serve(self._echo, "127.0.0.1", 0, max_size=None)
        self.host = "127.0.0.1"
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"ws://{self.host}:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()

    @staticmethod
    def _echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)
