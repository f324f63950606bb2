"""Real networking for Python in the browser."""

from __future__ import annotations

__version__ = "0.1.0"
