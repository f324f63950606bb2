"""What a test does beside the program it runs: a client of the page's server, for instance."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Beside(Generic[Result]):
    """A function in a thread of its own, started when the time has come::

    answer = Beside(lambda port: urlopen(f"http://127.0.0.1:{port}/").read())
    python.run("…; tell(port); …", tell=answer.start)
    assert answer.result() == b"hello"
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._future: Future[Result] = Future()

    def start(self, *arguments: object) -> None:
        """Calls the function with ``arguments`` in a thread, once."""
        # A thread that hangs does not keep the tests from ending.
        threading.Thread(target=self._call, args=arguments, daemon=True).start()

    def result(self, timeout: float = 30) -> Result:
        """What the function returned.

        Raises:
            TimeoutError: It has not ended after ``timeout`` seconds, or was never started.
            BaseException: What it raised.
        """
        return self._future.result(timeout)

    def error(self) -> BaseException | None:
        """What the function has raised, if it has."""
        return self._future.exception(0) if self._future.done() else None

    def _call(self, *arguments: object) -> None:
        try:
            self._future.set_result(self._function(*arguments))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._future.set_exception(error)
