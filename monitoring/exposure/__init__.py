"""Drift of what is shown: studios that stuff, providers that fail, films that are pushed, slates that leak names."""

from monitoring.exposure.detector import ExposureDrift
from monitoring.exposure.slates import SlateDrift

__all__ = ["ExposureDrift", "SlateDrift"]
