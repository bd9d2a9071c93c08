"""The account of an import: every row of every file is loaded, set aside or in quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """The account of one file.

    Args:
        name: The file, relative to the folder.
        encoding: How its bytes were read.
        read: Data rows found.
        loaded: Rows that are in the catalogue.
        merged: Of those, rows that were joined with another row about the same film.
        set_aside: Good rows the catalogue has no use for, by reason.
        refused: Rows in quarantine, by reason.
        repaired: Fields of loaded rows that were repaired or left empty, by reason.
    """

    name: str
    encoding: str
    read: int
    loaded: int
    merged: int = 0
    set_aside: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Tell whether every row is accounted for."""
        return self.read == self.loaded + sum(self.set_aside.values()) + sum(self.refused.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {"name": self.name, "encoding": self.encoding, "read": self.read, "loaded": self.loaded,
                "merged": self.merged, "set_aside": dict(self.set_aside), "refused": dict(self.refused),
                "repaired": dict(self.repaired)}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The account of a folder; travels in the manifest of the catalogue."""

    files: tuple[FileReport, ...]

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "ImportReport":
        """Return the report a catalogue carries; without files when it was not imported from files."""
        return cls(files=tuple(FileReport(**facts) for facts in manifest.get("files", ())))

    @property
    def balanced(self) -> bool:
        """Tell whether every row of every file is accounted for."""
        return all(file.balanced for file in self.files)

    def file(self, name: str) -> FileReport:
        """Return the account of one file.

        Raises:
            KeyError: When it was not read.
        """
        for report in self.files:
            if report.name == name:
                return report
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the report for people: each file with ``quarantined``, the sum of its refused rows."""
        files = [
            {"file": file.name, **file.to_dict(), "quarantined": sum(file.refused.values())} for file in self.files
        ]
        return {"balanced": self.balanced, "files": files}
