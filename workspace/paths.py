"""Where everything lives under one home folder."""

from dataclasses import dataclass
from pathlib import Path

from workspace.errors import StateError


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders and files of one workspace.

    Example:
        >>> Paths(Path("var")).database.as_posix()
        'var/recommendr.db'
    """

    home: Path

    @property
    def catalogue(self) -> Path:
        """Folder of immutable catalogue snapshots and their pointer."""
        return self.home / "catalogue"

    @property
    def embeddings(self) -> Path:
        """Folder of text vectors by content hash."""
        return self.home / "embeddings"

    @property
    def indexes(self) -> Path:
        """Folder of immutable index versions and their pointer."""
        return self.home / "indexes"

    @property
    def logs(self) -> Path:
        """Folder of JSON lines."""
        return self.home / "logs"

    @property
    def spool(self) -> Path:
        """Folder of events not yet taken in."""
        return self.home / "spool"

    @property
    def providers(self) -> Path:
        """Folder of what each film provider delivered."""
        return self.home / "providers"

    @property
    def telemetry(self) -> Path:
        """Folder of events, their rollups and what was refused."""
        return self.home / "telemetry"

    @property
    def system(self) -> Path:
        """Folder of the samples of system metrics."""
        return self.home / "system"

    @property
    def monitoring(self) -> Path:
        """Folder of what watching needs: rules, descriptions, kept scores."""
        return self.home / "monitoring"

    @property
    def audit(self) -> Path:
        """Folder of audit plans and reports."""
        return self.home / "audit"

    @property
    def keys(self) -> Path:
        """Folder of the pseudonym keys: beside the home, so that a copy of the store does not take them along."""
        return self.home.with_name(f"{self.home.name}.keys")

    @property
    def database(self) -> Path:
        """File of the operational store, when it is SQLite."""
        return self.home / "recommendr.db"

    def ensure(self) -> "Paths":
        """Create the folders that do not exist yet.

        Returns:
            The same paths.

        Raises:
            StateError: When a folder can't be created or written to.
        """
        for folder in (
            self.home,
            self.catalogue,
            self.embeddings,
            self.indexes,
            self.logs,
            self.spool,
            self.providers,
            self.telemetry,
            self.system,
            self.monitoring,
            self.audit,
        ):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StateError(
                    f"the workspace folder {folder} can't be created: {error.strerror}",
                    hint="choose a writable folder with --home or RECOMMENDR_HOME",
                ) from error
        return self
