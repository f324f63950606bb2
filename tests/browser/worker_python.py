"""Python in a module worker of a page, with our wheel in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.servers import ProxyProcess

__all__ = ["WorkerPython"]

WORKER = """
let pyodide;
addEventListener("message", async ({ data: { pyodideUrl, wheel, source, names, suspended } }) => {
    try {
        if (!pyodide) {
            const { loadPyodide } = await import(pyodideUrl + "pyodide.mjs");
            pyodide = await loadPyodide({ indexURL: pyodideUrl });
            await pyodide.loadPackage(wheel);
        }
        const globals = pyodide.toPy({ __name__: "__main__", ...names });
        const value = suspended
            ? await pyodide.runPythonAsync(source, { globals })
            : pyodide.runPython(source, { globals });
        postMessage({ value });
    } catch (error) {
        postMessage({ error: String(error) });
    }
});
"""

RUN = """async ([program, task]) => {
    if (!globalThis.worker) {
        const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
        globalThis.worker = new Worker(url, { type: "module" });
    }
    const answer = new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
    worker.postMessage(task);
    return await answer;
}"""


class WorkerPython:
    """A worker of a page whose origin is a proxy's.

    Args:
        page: it.
        proxy: what serves Pyodide and the wheel.
        wheel: ours.
    """

    def __init__(self, page: Page, proxy: ProxyProcess, wheel: Path) -> None:
        self._page = page
        self._task = {"pyodideUrl": f"{proxy.url}/pyodide/", "wheel": f"{proxy.url}/dist/{wheel.name}"}

    def run(self, source: str, *, suspended: bool = True, **names: Any) -> Any:
        """The value of the last expression of ``source``, a text or a number.

        Args:
            source: Python code.
            suspended: whether it may await, and blocking calls suspend it.
            names: its global variables.

        Raises:
            AssertionError: It has raised.
        """
        task = {**self._task, "source": source, "names": names, "suspended": suspended}
        answer = self._page.evaluate(RUN, [WORKER, task])
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def terminate(self) -> None:
        """Ends the worker, whatever runs in it."""
        self._page.evaluate("worker.terminate()")
