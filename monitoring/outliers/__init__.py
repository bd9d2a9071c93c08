"""What stands out: accounts, films, slates and requests, scored behind one interface and explained by feature."""

from monitoring.outliers.films import OddFilms
from monitoring.outliers.requests import OddRequests
from monitoring.outliers.scorers import Forest, Mahalanobis, PyodScorer, Scorer
from monitoring.outliers.slates import OddSlates
from monitoring.outliers.users import OddUsers

__all__ = [
    "Forest",
    "Mahalanobis",
    "OddFilms",
    "OddRequests",
    "OddSlates",
    "OddUsers",
    "PyodScorer",
    "Scorer",
]
