"""Tables about few people: which cells are withheld, the proof that they can't be had back, and refused questions."""

from audit.suppression.consistency import Interval, Weakness, check, feasible
from audit.suppression.differencing import DifferencingError, DifferencingGuard
from audit.suppression.release import Release
from audit.suppression.withholding import Withheld, withhold

__all__ = [
    "DifferencingError",
    "DifferencingGuard",
    "Interval",
    "Release",
    "Weakness",
    "Withheld",
    "check",
    "feasible",
    "withhold",
]
