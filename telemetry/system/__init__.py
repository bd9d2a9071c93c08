"""System metrics: how the services are, from the embedded series or from Prometheus."""

from telemetry.system.questions import SERVICES, Kind, Known, SystemMetrics, SystemQuestion
from telemetry.system.series import SeriesStore
from workspace.paths import Paths
from workspace.settings import Settings

__all__ = [
    "SERVICES",
    "Kind",
    "Known",
    "SeriesStore",
    "SystemMetrics",
    "SystemQuestion",
    "open_system_metrics",
]


def open_system_metrics(settings: Settings) -> SystemMetrics:
    """Return what answers the questions about the services: Prometheus where it is set, else the embedded series.

    Args:
        settings: Where the workspace is, and Prometheus if there is one.
    """
    if settings.prometheus_url is not None:
        from telemetry.system.prometheus import PrometheusSystemMetrics

        return PrometheusSystemMetrics(settings.prometheus_url, settings.prometheus_timeout_s)
    from telemetry.system.embedded import EmbeddedSystemMetrics

    return EmbeddedSystemMetrics(Paths(settings.home))
