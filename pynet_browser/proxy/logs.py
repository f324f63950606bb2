"""Log lines that programs read: one line of logfmt or one JSON object for each record.

Whatever stands in a value, it stays one value on one line: names of hosts and paths come from pages, which
may be hostile.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

__all__ = ["FIELDS", "LogFormat", "bounded", "configure", "logfmt"]

LogFormat: TypeAlias = Literal["text", "json"]
Value: TypeAlias = str | int | float

FIELDS = "pynet_fields"
"""The attribute of a record that has its values; others have a message alone."""

VALUE_MAX = 256
"""Characters of one value: a name of the domain name system has 253 at most."""

TEXT_MAX = 8192
"""Characters of a message or a traceback."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+*,\[\]~-]+")


def bounded(value: Value, most: int = VALUE_MAX) -> Value:
    """A value that is not too long for its line."""
    return value[: most - 1] + "…" if isinstance(value, str) and len(value) > most else value


def logfmt(fields: Mapping[str, Value]) -> str:
    """``key=value`` pairs; what is not plain ASCII stands in quotes, with the escapes of JSON."""
    return " ".join(f"{key}={_written(value)}" for key, value in fields.items())


def _written(value: Value) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def configure(form: LogFormat | None, *, verbose: bool) -> None:
    """Have this process log to standard error.

    Args:
        form: of each line; one is written for every decision then. None for lines that people read, of
            warnings alone.
        verbose: everything is written.
    """
    handler = logging.StreamHandler(sys.stderr)
    if form is None:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    else:
        handler.setFormatter(_Formatter(form))
    logging.getLogger().addHandler(handler)
    logging.getLogger("pynet_browser").setLevel(logging.DEBUG if verbose else logging.WARNING)
    if form is not None:
        logging.getLogger("pynet_browser.audit").setLevel(logging.INFO)


class _Formatter(logging.Formatter):
    """One line for each record."""

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._write = logfmt if form == "text" else json.dumps

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Value] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        own: Mapping[str, Value] | None = getattr(record, FIELDS, None)
        fields |= own if own is not None else {"message": bounded(record.getMessage(), TEXT_MAX)}
        if record.exc_info:
            fields["traceback"] = bounded(self.formatException(record.exc_info), TEXT_MAX)
        return self._write(fields)
