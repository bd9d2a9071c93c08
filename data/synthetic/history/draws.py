"""Random numbers and ids of a history: by the seed, the purpose and the place of a thing, never by the order of work.

Users are drawn in cells of `CELL`. A cell of one day is the unit of work: it has its own generators, so that any
number of workers, and any number of cells in a file, give the same rows.
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

CELL: Final = 32_768
"""Users who share a generator; also the rows of the users in one row group."""

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

HEX_DIGITS: Final = 16
_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode("ascii"), dtype=np.uint16)
_KIND_SHIFT, _DAY_SHIFT, _CELL_SHIFT = 62, 48, 32
_MASK: Final = (1 << 64) - 1


class Draw(IntEnum):
    """What a generator is for; above those of the world, so that a history never shares a sequence with it."""

    FILM = 101
    USER = 102
    VISIT = 103
    SHOW = 104
    ACT = 105
    RECEIPT = 106
    SYSTEM = 107
    LOG = 108


class Kind(IntEnum):
    """What an id names."""

    EVENT = 0
    SESSION = 1
    SLATE = 2
    TRANSACTION = 3


PREFIXES: Final = {Kind.EVENT: "ev", Kind.SESSION: "ses", Kind.SLATE: "slate_h", Kind.TRANSACTION: "txn_h"}


def generator(seed: int, draw: Draw, cell: int = 0, day: int = 0) -> np.random.Generator:
    """Return the generator of one cell and day for one purpose."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, int(draw), cell, day])))


def mixed(numbers: Words, salt: int) -> Words:
    """Return the numbers as if drawn at random: one to one, so that different ones stay different.

    Source: Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators (the finaliser of SplitMix64).
    """
    words = numbers + np.uint64((salt * 0x9E3779B97F4A7C15) & _MASK)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def unit(words: Words) -> Seconds:
    """Return words as numbers in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def ids(kind: Kind, seed: int, day: int, cell: int, count: int) -> pa.StringArray:
    """Return the ids of the first ``count`` things of a kind of one cell and day; no two of a history are equal."""
    place = (int(kind) << _KIND_SHIFT) | (day << _DAY_SHIFT) | (cell << _CELL_SHIFT)
    numbers = np.arange(count, dtype=np.uint64) | np.uint64(place)
    return hexadecimal(PREFIXES[kind], mixed(numbers, seed))


def hexadecimal(prefix: str, numbers: Words, digits: int = HEX_DIGITS) -> pa.StringArray:
    """Return numbers as a prefix and their last hexadecimal digits, built in one buffer without a loop over rows."""
    first = len(prefix)
    text = np.empty((len(numbers), first + digits), dtype=np.uint8)
    text[:, :first] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    pairs = _HEX[np.ascontiguousarray(numbers.astype(">u8")).view(np.uint8)]
    text[:, first:] = pairs.view(np.uint8).reshape(len(numbers), HEX_DIGITS)[:, HEX_DIGITS - digits :]
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(first + digits)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))


def spread(counts: npt.NDArray[Any]) -> tuple[Rows, Rows]:
    """Return (owner, place among the owner's) of every one of ``counts`` things.

    Example:
        >>> [column.tolist() for column in spread(np.array([2, 0, 1]))]
        [[0, 0, 2], [0, 1, 0]]
    """
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    first = np.cumsum(counts) - counts
    place = np.arange(len(owner), dtype=np.int64) - np.repeat(first, counts)
    return owner, place.astype(np.int32)
