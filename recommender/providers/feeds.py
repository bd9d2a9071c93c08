"""Providers and what they deliver: a frame of films, or the reason why there is none."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.catalogue.encoding import decode
from recommender.catalogue.quarantine import QuarantineLog
from recommender.catalogue.tables import read_table
from workspace.errors import RecommendrError, SchemaError, StateError
from workspace.paths import Paths

SUFFIXES: Final = (".parquet", ".csv", ".zip", ".jsonl")
STAMP: Final = "updated_at.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFeed:
    """What a provider delivered.

    Args:
        provider: Its name.
        frame: Films by the columns of `Film`, as found; at least id, title, release date and genres are needed.
        updated_at: How fresh it is; aware.
        quarantine: Rows that could not even be read.
    """

    provider: str
    frame: pd.DataFrame
    updated_at: datetime
    quarantine: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailure:
    """Why a provider delivered nothing."""

    provider: str
    reason: str


class Provider(Protocol):
    """A source of films."""

    @property
    def name(self) -> str:
        """Return what it is called."""
        ...

    def fetch(self) -> ProviderFeed:
        """Return what it delivers now.

        Raises:
            RecommendrError: When it can't deliver.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileProvider:
    """A provider whose deliveries are files in a folder; the newest file counts.

    Parquet, CSV (also zipped; lists as JSON or with ``|``) and JSON Lines are read. A file ``updated_at.txt`` beside
    it may state the moment of the delivery (ISO 8601), else the time of the file counts.

    Args:
        name: What it is called.
        folder: Where its files are.
    """

    name: str
    folder: Path

    def fetch(self) -> ProviderFeed:
        """Return the newest delivery.

        Raises:
            StateError: When there is no file.
            SchemaError: When the file can't be read.
        """
        files = [f for f in self.folder.glob("*") if f.suffix in SUFFIXES and not f.name.startswith(".")]
        if not files:
            raise StateError(f"{self.name} delivered no file", f"one of {', '.join(SUFFIXES)} is needed")
        newest = max(files, key=lambda file: (file.stat().st_mtime_ns, file.name))
        log = QuarantineLog()
        frame = self._read(newest, log)
        return ProviderFeed(
            provider=self.name, frame=frame, updated_at=self._updated_at(newest), quarantine=log.frame()
        )

    def _read(self, file: Path, log: QuarantineLog) -> pd.DataFrame:
        if file.suffix == ".parquet":
            try:
                return pq.read_table(file).to_pandas()
            except (OSError, pa.ArrowException) as error:
                raise SchemaError(f"{self.name}/{file.name} is not Parquet: {error}") from error
        if file.suffix == ".jsonl":
            return self._json_lines(file, log)
        table = read_table(file, self.folder.parent, (), log)
        return pd.DataFrame(table.columns, index=pd.Index(table.numbers, dtype="int64"), dtype=object)

    def _json_lines(self, file: Path, log: QuarantineLog) -> pd.DataFrame:
        text, _ = decode(file.read_bytes(), f"{self.name}/{file.name}")
        rows, numbers = [], []
        for number, line in enumerate(filter(str.strip, text.split("\n")), start=1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                rows.append(row)
                numbers.append(number)
            else:
                log.refuse(self.name, number, "", "not a JSON object", line)
        return pd.DataFrame(rows, index=pd.Index(numbers, dtype="int64"), dtype=object)

    def _updated_at(self, file: Path) -> datetime:
        stamp = self.folder / STAMP
        if not stamp.is_file():
            return datetime.fromtimestamp(file.stat().st_mtime, UTC)
        try:
            moment = datetime.fromisoformat(stamp.read_text(encoding="ascii").strip())
        except ValueError as error:
            raise SchemaError(f"{self.name}/{STAMP} is no moment: {error}", "must be ISO 8601") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def file_providers(paths: Paths) -> list[FileProvider]:
    """Return a provider for each folder under the providers folder of the workspace, by name."""
    folders = sorted(folder for folder in paths.providers.glob("*/") if not folder.name.startswith("."))
    return [FileProvider(folder.name, folder) for folder in folders]


def fetch_all(providers: Sequence[Provider]) -> list[ProviderFeed | ProviderFailure]:
    """Return what each provider delivers; one that can't becomes a failure and stops nobody else."""
    feeds: list[ProviderFeed | ProviderFailure] = []
    for provider in providers:
        try:
            feeds.append(provider.fetch())
        except (RecommendrError, OSError) as error:
            feeds.append(ProviderFailure(provider=provider.name, reason=f"down: {error}"))
    return feeds
