"""Samples of a run, and what is to be said of them: medians, spreads, ratios. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bench.measures import FIGURES, Figure, Target


@dataclass(frozen=True)
class Spread:
    """Samples in short."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[float]) -> Spread | None:
        """None where there are no samples."""
        return cls(statistics.median(samples), min(samples), max(samples)) if samples else None


@dataclass
class Results:
    """What one run has measured.

    Attributes:
        surroundings: What was measured, where and when.
        peers: Their titles by name.
        rounds: For each round the value of each figure by peer.
        failures: Why a peer has no figure.
    """

    surroundings: dict[str, str]
    peers: dict[str, str]
    rounds: list[dict[str, dict[str, float]]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def begin_round(self) -> None:
        self.rounds.append(defaultdict(dict))

    def add(self, figure: Figure, peer: str, value: float) -> None:
        """A sample of the current round."""
        self.rounds[-1][figure.name][peer] = value

    def spread(self, figure: Figure, peer: str) -> Spread | None:
        values = (each.get(figure.name, {}).get(peer) for each in self.rounds)
        return Spread.of([value for value in values if value is not None])

    def ratio(self, target: Target) -> Spread | None:
        """Ours against the target's peer: each round's own ratio, since what disturbs one disturbs both."""
        if target.peer is None:
            return self.spread(target.figure, target.ours)
        against = target.against or target.figure
        pairs = (
            (each.get(target.figure.name, {}).get(target.ours), each.get(against.name, {}).get(target.peer))
            for each in self.rounds
        )
        return Spread.of([ours / theirs for ours, theirs in pairs if ours and theirs])

    def figures(self) -> list[Figure]:
        """Those that somebody has."""
        return [figure for figure in FIGURES if any(self.spread(figure, peer) for peer in self.peers)]

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {
            "surroundings": self.surroundings,
            "peers": self.peers,
            "units": {figure.name: figure.unit for figure in self.figures()},
            "rounds": self.rounds,
            "failures": self.failures,
        }
