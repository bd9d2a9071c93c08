"""All detectors there are; whatever is added here is run, may be named by rules, and is counted for false alarms."""

from typing import Final

from monitoring.benchmark import BenchmarkDrift
from monitoring.drift.telemetry import TelemetryDrift
from monitoring.exposure.detector import ExposureDrift
from monitoring.exposure.slates import SlateDrift
from monitoring.ground import Detector
from monitoring.incidents import Services
from monitoring.inputs.detector import InputDrift
from monitoring.outliers.films import OddFilms
from monitoring.outliers.requests import OddRequests
from monitoring.outliers.slates import OddSlates
from monitoring.outliers.users import OddUsers

ALL: Final[tuple[Detector, ...]] = (
    Services(),
    TelemetryDrift(),
    ExposureDrift(),
    SlateDrift(),
    InputDrift(),
    BenchmarkDrift(),
    OddUsers(),
    OddFilms(),
    OddSlates(),
    OddRequests(),
)
