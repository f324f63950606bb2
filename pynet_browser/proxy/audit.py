"""What the proxy decided, for whom, and what came of it: one line of its log each, and how often."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.logs import FIELDS, bounded, logfmt

if TYPE_CHECKING:
    from pynet_browser.proxy.door import Visitor

__all__ = ["Audit", "Subject", "Voice"]

log = logging.getLogger("pynet_browser.audit")

LINES_PER_SECOND, LINES_BURST = 20, 200
"""Lines about one session, on average and at once. What comes beyond is counted."""

LAST = ("session", "ended")

ALL_LINES_PER_SECOND, ALL_LINES_BURST = 1000, 5000
"""The same about all of them."""


class Voice:
    """How much somebody may still have written.

    Attributes:
        suppressed: lines that were left out since the last one.
    """

    def __init__(self) -> None:
        self.suppressed = 0
        self._pace = Pace(LINES_PER_SECOND, LINES_BURST)

    def may_speak(self, now: float) -> bool:
        """Whether one more line may be written."""
        return self._pace.allows(now)


class Subject(Protocol):
    """Whom a line is about."""

    @property
    def name(self) -> str:
        """Of the session, or of the client; it opens nothing."""

    @property
    def token(self) -> str:
        """The name of its token; empty for the one without a name."""

    @property
    def visitor(self) -> Visitor:
        """Where it comes from."""

    @property
    def voice(self) -> Voice:
        """How much it may have written."""


class Audit:
    """All decisions.

    Attributes:
        decisions: how many there were of each kind: event and decision.
        refusals: how many the policy and the limits have refused, by the rule's text or the limit's name.
        suppressed: lines that were left out.
    """

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.suppressed = 0
        self._pace = Pace(ALL_LINES_PER_SECOND, ALL_LINES_BURST)

    def refused(self, subject: Subject, event: str, rule: str, **fields: str | float) -> None:
        """Something was refused: by a rule of the configuration, or by a limit of this name."""
        self.refusals[rule] += 1
        self.decided(subject, event, "refused", rule=rule, **fields)

    def decided(self, subject: Subject, event: str, decision: str, **fields: str | float) -> None:
        """Something was decided. Values that are empty are left out."""
        self.decisions[event, decision] += 1
        if not log.isEnabledFor(logging.INFO):
            return
        now, voice = time.monotonic(), subject.voice
        last = (event, decision) == LAST  # it tells how many were left out
        if not (voice.may_speak(now) or last) or not self._pace.allows(now):
            voice.suppressed += 1
            self.suppressed += 1
            return
        suppressed, voice.suppressed = voice.suppressed, 0
        visitor = subject.visitor
        pairs: dict[str, str | float] = {
            "event": event,
            "decision": decision,
            "session": subject.name,
            "token": subject.token,
            "remote": visitor.remote,
            "origin": visitor.origin or "",
            **fields,
            "suppressed": suppressed or "",
        }
        line = {key: bounded(value) for key, value in pairs.items() if value != ""}
        log.info("%s", logfmt(line), extra={FIELDS: line})
