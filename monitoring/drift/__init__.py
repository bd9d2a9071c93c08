"""Drift of user telemetry: a figure that changed, where, when and by how much.

`cells` reads daily sums by random group of users, `seasons` takes the week out, `testing` compares days with the days
before over the same users, `dating` says when, `placement` where, and `telemetry` is the detector.
"""
