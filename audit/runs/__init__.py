"""The run of an audit: a plan and a subject in, findings out."""

from audit.runs.running import STAGES, refuse_unplanned, run_audit

__all__ = ["STAGES", "refuse_unplanned", "run_audit"]
