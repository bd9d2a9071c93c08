"""Identifiers that sort by the time they were made.

An id is a prefix and 26 characters of Crockford's base 32: 48 bits of milliseconds, 16 bits that count the ids of one
process within the same millisecond, 64 random bits. The random part is fresh for every id, so that forked processes
that share a counter still differ.

Source: the ULID specification (layout of time and randomness, alphabet).
"""

import re
import secrets
import threading
import time
from typing import Final

from workspace.errors import InvalidValueError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 26
_PREFIX: Final = re.compile(r"[a-z][a-z0-9]*")
_COUNTER_BITS: Final = 16
_RANDOM_BITS: Final = 64


class _Sequence:
    """Time and counter of the last id of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Return milliseconds and counter as one number that only ever grows, even when the clock steps back."""
        with self._lock:
            self._last = max(self._last + 1, (time.time_ns() // 1_000_000) << _COUNTER_BITS)
            return self._last


_SEQUENCE: Final = _Sequence()


def new_id(prefix: str) -> str:
    """Make an identifier nobody has had before.

    Args:
        prefix: What it names, in lower-case letters and digits, for example ``slate``.

    Returns:
        ``<prefix>_<26 characters>``; ids of one process sort in the order they were made.

    Raises:
        InvalidValueError: When the prefix has other characters.

    Example:
        >>> new_id("slate").startswith("slate_")
        True
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidValueError(f"prefix == {prefix!r}", "must be lower-case letters and digits")
    number = (_SEQUENCE.next() << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    characters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(characters))}"
