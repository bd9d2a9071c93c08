"""Events on their way in: readers for each format, one door for all of them, one transaction a chunk."""

from telemetry.ingest.ingestor import Ingestor
from telemetry.ingest.report import IngestReport

__all__ = ["IngestReport", "Ingestor"]
