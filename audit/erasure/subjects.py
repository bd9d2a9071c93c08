"""What stands for a person where the person may not be named: in the ledger, and in the list of who was erased.

Two names, for two ends. *Listed*: HMAC-SHA256 of the id under one key of the installation, so that an import recognises
whom it must not bring back. *Named*: HMAC-SHA256 under a key of the person's own, made when they are first named in the
ledger. Erasing the person destroys that key: whoever holds the ledger, the other key and the id itself can't tell
afterwards which records were about them, though no record was changed.

Source: RFC 2104 (HMAC), FIPS 180-4 (SHA-256); test vectors of RFC 4231.
"""

import hashlib
import hmac
import json
import secrets
import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from telemetry.private_files import private_folder, write_private
from workspace.errors import IntegrityError, InvalidValueError, StateError
from workspace.files import file_lock
from workspace.paths import Paths
from workspace.settings import Settings

KEY_FILE: Final = "subjects.json"
_KEY_BYTES: Final = 32
_NAME_HEX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What the key file holds: the key of the list, and the keys of those who were named, by their listed name."""

    listing: bytes = field(repr=False)
    named: dict[str, str] = field(repr=False)


class Subjects:
    """Gives people the names they go by.

    Args:
        path: The key file, readable by its owner alone.

    Raises:
        StateError: When others may read it, or it can't be written.
        IntegrityError: When it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        private_folder(path.parent)
        with self._locked():
            if not path.exists():
                self._write(_Held(listing=secrets.token_bytes(_KEY_BYTES), named={}))
        self._listing: Final = self._read().listing

    @classmethod
    def open(cls, settings: Settings) -> "Subjects":
        """Open the keys of an installation, beside those of its pseudonyms."""
        return cls((settings.key_folder or Paths(settings.home).keys) / KEY_FILE)

    def listed(self, user_id: str) -> str:
        """Return the name in the list of who was erased: 64 hexadecimal digits, always the same for an id."""
        return keyed(self._listing, _checked(user_id))

    def listed_all(self, user_ids: Sequence[str]) -> list[str]:
        """Return the listed names of many ids, in their order."""
        return [keyed(self._listing, user_id) for user_id in user_ids]

    def named(self, user_id: str) -> str:
        """Return the name in the ledger; the person's own key is made when there is none."""
        listed = self.listed(user_id)
        with self._locked():
            held = self._read()
            secret = held.named.get(listed)
            if secret is None:
                secret = held.named[listed] = secrets.token_hex(_KEY_BYTES)
                self._write(held)
        return _name(secret, user_id)

    def names_of(self, user_ids: Sequence[str]) -> list[str]:
        """Return the names in the ledger of those who have one."""
        held = self._read().named
        pairs = [(held.get(self.listed(user_id)), user_id) for user_id in user_ids]
        return [_name(secret, user_id) for secret, user_id in pairs if secret is not None]

    def forget(self, user_ids: Sequence[str]) -> int:
        """Destroy the own keys of some ids, so that nothing links their ledger records to them.

        Returns:
            How many there were.
        """
        listed = [self.listed(user_id) for user_id in user_ids]
        with self._locked():
            held = self._read()
            gone = [held.named.pop(name) for name in listed if name in held.named]
            if gone:
                self._write(held)
        return len(gone)

    def _locked(self) -> AbstractContextManager[None]:
        return file_lock(self._path.with_name(f".{self._path.name}.lock"))

    def _read(self) -> _Held:
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
            content = self._path.read_bytes()
        except OSError as error:
            hint = "restore the keys: without them no erased person is recognised"
            raise StateError(f"the key file {self._path} can't be read: {error.strerror}", hint=hint) from error
        if mode & 0o077:
            what = f"the key file {self._path} has mode {mode:o}"
            raise StateError(what, "must be readable by its owner alone", f"chmod 600 {self._path}")
        try:
            values = json.loads(content)
            held = _Held(listing=bytes.fromhex(values["key"]), named=dict(values["named"]))
        except (ValueError, KeyError, TypeError) as error:
            # Nothing of the content is repeated: it may be a key.
            raise IntegrityError(f"the key file {self._path} is damaged", hint="restore it from its copy") from error
        if len(held.listing) != _KEY_BYTES:
            raise IntegrityError(f"the key file {self._path} holds no whole key", hint="restore it from its copy")
        return held

    def _write(self, held: _Held) -> None:
        values = {"purpose": "subjects", "key": held.listing.hex(), "named": held.named}
        write_private(self._path, json.dumps(values, indent=2, sort_keys=True).encode() + b"\n")


def keyed(secret: bytes, text: str) -> str:
    r"""Return HMAC-SHA256 of a text in hexadecimal digits.

    Example:
        >>> keyed(b"\x0b" * 20, "Hi There")[:16]
        'b0344c61d8db3853'
    """
    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _name(secret: str, user_id: str) -> str:
    return f"subject:{keyed(bytes.fromhex(secret), user_id)[:_NAME_HEX]}"


def _checked(user_id: str) -> str:
    if not user_id.strip():
        raise InvalidValueError(f"user_id == {user_id!r}", "must not be blank")
    return user_id
