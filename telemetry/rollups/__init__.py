"""Rollups of events, kept up to date day by day."""

from telemetry.rollups.keeping import RollupReport, pending, roll_up

__all__ = ["RollupReport", "pending", "roll_up"]
