"""Alerts: rules, states, silences, grouping, routes, and the outbox they leave by."""
