"""Python on this machine, run from a test as `PagePython` is: what programs do without us."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import textwrap
from collections.abc import Callable
from typing import Any

from tests.beside import Beside

FILENAME = "<run here>"
VALUE = "value of the last expression"  # no program has a variable of this name


class HostPython:
    """The interpreter of the tests, with the system's own sockets."""

    def run(
        self,
        source: str,
        *,
        timeout: float = 30,
        tell: Callable[[Any], None] | None = None,
        **names: Any,
    ) -> Any:
        """Runs ``source`` and returns the value of its last expression.

        Args:
            source: Python code; it may use ``await``. It is dedented.
            timeout: How many seconds it may take.
            tell: What ``tell(value)`` in the code calls, while it runs.
            **names: Global variables for it, which must be JSON.

        Raises:
            TimeoutError: It took longer than ``timeout``.
            BaseException: What the code raised.
        """
        code = compiled(textwrap.dedent(source))
        namespace = {"__name__": "__main__", "tell": tell, **json.loads(json.dumps(names))}
        # In a thread, for Playwright runs an event loop in the one that the tests have.
        program = Beside(lambda: asyncio.run(execute(code, namespace)))
        program.start()
        return json.loads(json.dumps(program.result(timeout)))


def compiled(source: str) -> Any:
    """The code of a module that keeps the value of its last expression in the variable `VALUE`."""
    module = ast.parse(source, FILENAME)
    last = module.body[-1]
    if isinstance(last, ast.Expr):
        target = ast.Name(VALUE, ast.Store())
        module.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    return compile(ast.fix_missing_locations(module), FILENAME, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def execute(code: Any, namespace: dict[str, Any]) -> Any:
    """Runs the code on this event loop."""
    result = eval(code, namespace)
    if inspect.isawaitable(result):
        await result
    return namespace.get(VALUE)
