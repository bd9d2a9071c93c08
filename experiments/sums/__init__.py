"""The sums behind every figure of an experiment, as of a day: computed once, kept, never about a single user."""

from experiments.sums.request import Request
from experiments.sums.shelf import purge_all
from experiments.sums.snapshot import Snapshot
from experiments.sums.taking import Sums

__all__ = ["Request", "Snapshot", "Sums", "purge_all"]
