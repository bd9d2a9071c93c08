"""All detectors there are; whatever is added here is run, may be named by rules, and is counted for false alarms."""

from typing import Final

from monitoring.drift.telemetry import TelemetryDrift
from monitoring.exposure.detector import ExposureDrift
from monitoring.exposure.slates import SlateDrift
from monitoring.ground import Detector
from monitoring.incidents import Services
from monitoring.outliers.users import OddUsers

ALL: Final[tuple[Detector, ...]] = (
    Services(),
    TelemetryDrift(),
    ExposureDrift(),
    SlateDrift(),
    OddUsers(),
)
