"""Drift of what goes into recommendations: films, users' profiles and vectors."""

from monitoring.inputs.classifier import Separation, domain_classifier
from monitoring.inputs.comparison import ColumnDrift, InputComparison, compare
from monitoring.inputs.detector import InputDrift
from monitoring.inputs.distances import Distance, energy, mmd, psi, wasserstein

__all__ = [
    "ColumnDrift",
    "Distance",
    "InputComparison",
    "InputDrift",
    "Separation",
    "compare",
    "domain_classifier",
    "energy",
    "mmd",
    "psi",
    "wasserstein",
]
