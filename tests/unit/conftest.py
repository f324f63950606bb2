"""Settings of the unit tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no failure, and a gate gives the same answer each time for the same code.
settings.register_profile(
    "unit", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
