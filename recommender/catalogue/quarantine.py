"""The quarantine: every row that was refused and every field that was repaired, with the reason.

A row with an empty ``field`` was refused whole. A row that names a field was kept, and only that field was repaired or
left empty.
"""

from collections import Counter
from typing import Final

import pandas as pd

from recommender.catalogue.texts import clean_text, shown
from workspace.columns import Quarantine

_ROW_TYPE: Final = "int64"


class QuarantineLog:
    """Collects refusals and repairs in the order they are found."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, str, str, str, str]] = []

    def refuse(self, source: str, row: int, key: str, reason: str, value: object = "") -> None:
        """Record that a whole row was refused.

        Args:
            source: The file or provider it came from.
            row: Its number there, counting data rows from 1.
            key: Its id as found, or empty.
            reason: Why, in words a user understands.
            value: What was found.
        """
        self._rows.append((source, row, shown(key), "", shown(value), reason))

    def repair(self, source: str, row: int, key: str, field: str, reason: str, value: object = "") -> None:
        """Record that one field of a row that was kept had to be repaired or left empty; arguments as `refuse`."""
        self._rows.append((source, row, shown(key), field, shown(value), reason))

    def clean(self, text: str, source: str, row: int, key: str, field: str) -> str:
        """Return the text fit to be shown, and record what had to be removed."""
        cleaned, reasons = clean_text(text)
        for reason in reasons:
            self.repair(source, row, key, field, reason, text)
        return cleaned

    def refused(self, source: str) -> dict[str, int]:
        """Return how many rows of a source were refused, by reason."""
        return dict(Counter(row[5] for row in self._rows if row[0] == source and not row[3]))

    def repaired(self, source: str) -> dict[str, int]:
        """Return how many fields of a source were repaired, by reason."""
        return dict(Counter(row[5] for row in self._rows if row[0] == source and row[3]))

    def frame(self) -> pd.DataFrame:
        """Return all of it with the columns of `workspace.columns.Quarantine`."""
        return quarantine_frame(self._rows)


def quarantine_frame(rows: list[tuple[str, int, str, str, str, str]]) -> pd.DataFrame:
    """Return rows of (source, row, key, field, value, reason) as a frame."""
    frame = pd.DataFrame(rows, columns=list(Quarantine.ALL))
    texts = [column for column in Quarantine.ALL if column != Quarantine.ROW]
    return frame.astype({**dict.fromkeys(texts, "str"), Quarantine.ROW: _ROW_TYPE})
