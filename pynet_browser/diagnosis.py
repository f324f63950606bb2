"""What ``pynet_browser.diagnose()`` tells, for programs and for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from pynet_browser.findings import Outcome, Report, conclusions, shown

__all__ = ["Diagnosis", "DiagnosisStep"]

MARKS: dict[Outcome, str] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}
"""Beside the word; colours are a matter of the notebook's theme."""

CELL = '<td style="text-align: left; vertical-align: top">'
"""Notebooks align cells to the right, as numbers are."""


@dataclass(frozen=True, slots=True)
class DiagnosisStep:
    """One thing that was looked at.

    Attributes:
        name: what it is about: ``Python``, ``browser``, ``address``, ``page``, ``WebSocket``, ``greeting``,
            ``HTTP``, ``blocking calls``, ``round trip``, or the host and port that were asked for.
        outcome: ``ok``; ``warning``, it works in part, or at a price; ``failed``; ``skipped``, there was
            nothing to look at, or something before it failed.
        found: what was found, in words.
        advice: what to do about it; empty where there is nothing to do.
    """

    name: str
    outcome: Outcome
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What works here, step by step. It holds nothing secret: no token.

    Attributes:
        url: the proxy's address; empty if there is none.
        steps: in the order in which they build on each other: the first that failed is where to begin.
    """

    url: str
    steps: tuple[DiagnosisStep, ...]

    @classmethod
    def of(cls, report: Report) -> Diagnosis:
        """From what was found out."""
        steps = (DiagnosisStep(name, *conclusion) for name, conclusion in conclusions(report))
        return cls(shown(report["address"]), tuple(steps))

    @property
    def ok(self) -> bool:
        """Whether no step has failed."""
        return not self._named("failed")

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        width = max(len(step.name) for step in self.steps)
        lines = [self._summary()]
        for step in self.steps:
            lines.append(f"  {MARKS[step.outcome]} {step.outcome:<7}  {step.name:<{width}}  {step.found}")
            if step.advice:
                lines.append(f"{'':{width + 15}}→ {step.advice}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = (
            f"<tr>{CELL}{MARKS[step.outcome]}&nbsp;{step.outcome}</td>"
            f"{CELL}<strong>{escape(step.name)}</strong></td>"
            f"{CELL}{escape(step.found)}{f'<br>→ {escape(step.advice)}' if step.advice else ''}</td></tr>"
            for step in self.steps
        )
        return f"<p>{escape(self._summary())}</p><table>{''.join(rows)}</table>"

    def _summary(self) -> str:
        through = f" through {self.url}" if self.url else ""
        if failed := self._named("failed"):
            return f"Not all works here{through}: begin with {failed[0]}."
        if warnings := self._named("warning"):
            return f"It works here{through}; look at {', '.join(warnings)}."
        return f"All is well here{through}."

    def _named(self, outcome: Outcome) -> Sequence[str]:
        return [step.name for step in self.steps if step.outcome == outcome]
