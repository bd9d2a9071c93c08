"""Rows that were refused: kept with their reason, for a while, without the raw id of any user.

A row that could be read is kept with the values of the fields of the contract; the user is a pseudonym, and unknown
fields are shown by their outline only, since nobody knows what is in them. A row that could not be read is kept by its
outline alone: letters as ``a``, digits as ``9``, everything else as it was.
"""

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from telemetry.private_files import private_folder, write_private
from telemetry.pseudonyms import KeyRing
from workspace.columns import Event
from workspace.columns import Quarantine as Column
from workspace.paths import Paths

LONGEST_TEXT: Final = 2_048
KEPT_TEXTS: Final = 10_000
_SHORTEST_HIDDEN_INSIDE: Final = 4
_DEPTH: Final = 8
_OUTLINE: Final = ((re.compile(r"[^\W\d_]"), "a"), (re.compile(r"\d"), "9"))
Rejections = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused row.

    Args:
        row: Its number in the source, from 1.
        field: The field at fault; empty when the row as a whole is.
        reason: Why.
        raw: Its bytes, or the beginning of them.
        record: Its fields, when it could be read.
        sha256: Digest of the whole row, when `raw` is only its beginning.
    """

    row: int
    field: str
    reason: str
    raw: bytes
    record: Mapping[str, Any] | None = None
    sha256: str = ""


class Quarantine:
    """The folder of refused rows, one private file a batch.

    Args:
        paths: The workspace.
        keys: Makes the pseudonyms.
    """

    def __init__(self, paths: Paths, keys: KeyRing) -> None:
        self.folder: Final = paths.telemetry / "quarantine"
        self._keys = keys

    def write(self, batch_id: str, source: str, refusals: Sequence[Refusal], today: dt.date) -> Rejections:
        """Keep the refused rows of a batch, and return how many there are by field and reason.

        Args:
            batch_id: The batch; its file appears as a whole.
            source: Where the rows came from.
            refusals: The rows; the text of the first 10,000 is kept, of the others the digest only.
            today: Date whose key hides users of rows without a date.
        """
        if refusals:
            lines = [
                self._line(source, refusal, today, with_text=number < KEPT_TEXTS)
                for number, refusal in enumerate(refusals)
            ]
            private_folder(self.folder)
            write_private(self.path(batch_id), "".join(lines).encode())
        return dict(Counter((refusal.field, refusal.reason) for refusal in refusals))

    def path(self, batch_id: str) -> Path:
        """Return where the refused rows of a batch are."""
        return self.folder / f"{batch_id}.jsonl"

    def sweep(self, known: set[str]) -> list[Path]:
        """Remove the files of batches that were never committed; the caller is the only one who ingests.

        Args:
            known: Ids of committed batches.
        """
        orphans = [path for path in sorted(self.folder.glob("*.jsonl")) if path.stem not in known]
        orphans += sorted(self.folder.glob(".*.tmp"))
        for path in orphans:
            path.unlink(missing_ok=True)
        return orphans

    def expire(self, before: dt.datetime) -> list[Path]:
        """Remove what was refused before a moment: it is kept no longer than the events themselves.

        Args:
            before: The moment; aware.
        """
        old = [path for path in sorted(self.folder.glob("*.jsonl")) if path.stat().st_mtime < before.timestamp()]
        for path in old:
            path.unlink(missing_ok=True)
        return old

    def _line(self, source: str, refusal: Refusal, today: dt.date, *, with_text: bool) -> str:
        text = self._text(refusal, today)[:LONGEST_TEXT] if with_text else None
        line = {
            Column.SOURCE: source,
            Column.ROW: refusal.row,
            Column.FIELD: refusal.field,
            Column.REASON: refusal.reason,
            Column.VALUE: text,
            "sha256": refusal.sha256 or hashlib.sha256(refusal.raw).hexdigest(),
        }
        return json.dumps(line, ensure_ascii=True) + "\n"

    def _text(self, refusal: Refusal, today: dt.date) -> str:
        if refusal.record is None:
            return outline(refusal.raw[:LONGEST_TEXT].decode("utf-8", "replace"))
        raw_id = refusal.record.get(Event.USER)
        shown: dict[str, Any] = {}
        if raw_id is not None:
            shown[Event.USER] = self._label(raw_id, refusal.record.get(Event.TS), today)
        for name, value in refusal.record.items():
            if name in Event.CONTRACT and name != Event.USER and isinstance(value, str | int | float | None):
                shown[name] = without_user(value, raw_id, shown.get(Event.USER, ""))
            elif name != Event.USER:
                shown[outline(name)] = outline(json.dumps(value, default=str, ensure_ascii=False))
        return json.dumps(shown, ensure_ascii=False, default=str)

    def _label(self, raw_id: object, ts: object, today: dt.date) -> str:
        try:
            date = dt.date.fromisoformat(str(ts)[:10])
        except ValueError:
            date = today
        text = raw_id if isinstance(raw_id, str) else json.dumps(raw_id, default=str)
        safe = text.encode("utf-8", "replace").decode()
        return f"user:{self._keys.pseudonym(safe, date)}"


def outline(text: str) -> str:
    """Return the shape of a text without its letters and digits.

    Example:
        >>> outline('{"user": "ann-7"')
        '{"aaaa": "aaa-9"'
    """
    for pattern, mark in _OUTLINE:
        text = pattern.sub(mark, text)
    return text


def without_user(value: Any, raw_id: object, label: str, depth: int = _DEPTH) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value in which a raw user id is replaced by a label.

    Args:
        value: The value.
        raw_id: The raw id; short ones are replaced only where they are a whole text.
        label: What stands for it.
        depth: Levels of nesting looked into; deeper ones become their outline.

    Example:
        >>> without_user({"mail": "ann77@example.com"}, "ann77", "user:1")
        {'mail': 'user:1@example.com'}
    """
    hidden = str(raw_id)
    if isinstance(value, str):
        if value == hidden:
            return label
        return value.replace(hidden, label) if len(hidden) >= _SHORTEST_HIDDEN_INSIDE else value
    if isinstance(value, dict | list) and depth == 0:
        return outline(json.dumps(value))
    if isinstance(value, dict):
        return {
            without_user(name, raw_id, label): without_user(item, raw_id, label, depth - 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_user(item, raw_id, label, depth - 1) for item in value]
    return label if value is not None and str(value) == hidden and not isinstance(value, bool) else value
