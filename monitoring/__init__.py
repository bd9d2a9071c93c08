"""Watching: goals, drift, outliers, objectives, alerts, reliability, markets and cost."""
