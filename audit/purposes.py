"""The register of purposes: what is kept of people, why, on which legal basis, how long, and who may see it.

The entries are in ``purposes.toml``. Every column that names a person belongs to at least one purpose; a test holds the
register against the schema.

Source: Regulation (EU) 2016/679, Article 30(1) for what a record of processing says.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from workspace.errors import SchemaError

FILE: Final = Path(__file__).with_name("purposes.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One purpose.

    Args:
        name: Its short name.
        title: What it is called.
        what: Which data.
        why: What for.
        basis: The legal basis.
        columns: Columns by store.
        retention: How long, in words.
        who: Which roles may see it.
    """

    name: str
    title: str
    what: str
    why: str
    basis: str
    columns: Mapping[str, tuple[str, ...]]
    retention: str
    who: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "title": self.title,
            "what": self.what,
            "why": self.why,
            "basis": self.basis,
            "columns": {store: list(columns) for store, columns in self.columns.items()},
            "retention": self.retention,
            "who": list(self.who),
        }


@cache
def register() -> tuple[Purpose, ...]:
    """Return every purpose."""
    return read_register(FILE.read_text("utf-8"))


def read_register(content: str) -> tuple[Purpose, ...]:
    """Read a register.

    Raises:
        SchemaError: When it is not what a register must be; names the entry.
    """
    try:
        entries = tomllib.loads(content)["purpose"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise SchemaError(f"the register of purposes: {error}", "must be TOML with [[purpose]] entries") from error
    found = tuple(_purpose(entry) for entry in entries)
    names = [purpose.name for purpose in found]
    if len(set(names)) != len(names):
        raise SchemaError("the register of purposes", "must name each purpose once")
    return found


def _purpose(entry: Mapping[str, Any]) -> Purpose:
    texts = ("name", "title", "what", "why", "basis", "retention")
    lacking = [name for name in (*texts, "columns", "who") if not entry.get(name)]
    strangers = sorted(set(entry) - {*texts, "columns", "who"})
    if lacking or strangers:
        what = f"purpose {entry.get('name', '?')!r} " + (f"lacks {lacking[0]}" if lacking else f"has {strangers[0]}")
        raise SchemaError(what, f"must have {', '.join(texts)}, columns and who, and nothing else")
    return Purpose(
        **{name: str(entry[name]) for name in texts},
        columns={str(store): tuple(columns) for store, columns in entry["columns"].items()},
        who=tuple(entry["who"]),
    )
