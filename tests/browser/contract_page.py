"""Brings the contract suites into a page."""

from __future__ import annotations

from pathlib import Path

from tests import contract
from tests.page_python import PagePython


def bring_contract(python: PagePython) -> None:
    """Makes ``tests.contract`` a package there as it is here."""
    folder = Path(contract.__file__).parent
    files = [folder.parent / "__init__.py", *folder.glob("*.py")]
    python.run(
        """
        import pathlib, sys
        for name, text in sources.items():
            path = pathlib.Path("/contract", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        sys.path.insert(0, "/contract")
        None
        """,
        sources={str(path.relative_to(folder.parents[1])): path.read_text("utf-8") for path in files},
    )
