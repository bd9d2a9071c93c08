"""What a person's traces look like in bytes, and how a chance match or another person's longer id is told apart."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

SHORTEST_TELLING_BYTES: Final = 6
"""A text of n bytes turns up by chance about once in 256^n random bytes: six make it 4e-6 in a gigabyte."""
USER_NAMES: Final = ("user", "user_id", "users", "user_ids", "subject")
"""Columns and fields that hold ids of people: only there is a short id a person, for a film may be called 7 too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way a trace can be written.

    Args:
        name: The way, for people.
        content: Its bytes.
        telling: Whether the bytes alone say it is no chance.
    """

    name: str
    content: bytes
    telling: bool = True


@dataclass(frozen=True, kw_only=True)
class Needles:
    """All traces of one person.

    Args:
        user_id: The raw id.
        pseudonyms: The id under every key of telemetry, 63-bit numbers.
        longer: Ids of others (people, films) that contain the id or the decimals of a pseudonym: no trace of them.
    """

    user_id: str
    pseudonyms: tuple[int, ...] = ()
    longer: tuple[str, ...] = ()

    @property
    def telling(self) -> bool:
        """Whether the raw id is long enough for a search of plain bytes."""
        return len(self.user_id.encode("utf-8", "surrogatepass")) >= SHORTEST_TELLING_BYTES

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """Every form searched for."""
        found = [
            Form(name=f"id in {name}", content=self.user_id.encode(codec, "surrogatepass"), telling=self.telling)
            for name, codec in (("UTF-8", "utf-8"), ("UTF-16", "utf-16-le"), ("UTF-16, big end first", "utf-16-be"))
        ]
        for number in self.pseudonyms:
            found += [
                Form(name="pseudonym as 8 bytes", content=number.to_bytes(8, "little")),
                Form(name="pseudonym as 8 bytes, big end first", content=number.to_bytes(8, "big")),
                Form(name="pseudonym in decimals", content=str(number).encode()),
                Form(name="pseudonym in decimals, UTF-16", content=str(number).encode("utf-16-le")),
                Form(name="pseudonym in hexadecimals", content=f"{number:x}".encode()),
                Form(name="pseudonym in hexadecimals, upper case", content=f"{number:X}".encode()),
            ]
        return tuple(found)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every trace as text."""
        return (self.user_id, *(text for number in self.pseudonyms for text in (str(number), f"{number:x}")))

    def is_in(self, text: str) -> bool:
        """Tell whether a text names the person; a short id counts where the text says that it is a user's.

        Example:
            >>> Needles(user_id="anna-77").is_in('{"who": "anna-77"}'), Needles(user_id="7").is_in('{"film": "7"}')
            (True, False)
            >>> Needles(user_id="7").is_in('{"user_id": "7"}'), Needles(user_id="7").is_in('{"users": [6, 7]}')
            (True, True)
        """
        if not self.telling and self._said.search(text):
            return True
        if not any(word in text for word in self.words):
            return False
        content = text.encode("utf-8", "surrogatepass")
        return any(self.count(content, form) for form in self._as_text if form.telling)

    def is_value(self, column: str, value: str) -> bool:
        """Tell whether a value of a column names the person."""
        return (column in USER_NAMES and value == self.user_id) or self.is_in(value)

    def count_said(self, text: str) -> int:
        """Return how often a text says of a short id that it is a user's."""
        return len(self._said.findall(text))

    @cached_property
    def _said(self) -> re.Pattern[str]:
        one = re.escape(self.user_id)
        field = r"\buser(?:_?ids?|s)?\b[\"']?\s*(?:==|=|:)?\s*(?:\[[^\]]*?)?[\"'\s]?"
        return re.compile(rf"(?i:{field})(?<![0-9A-Za-z_.-]){one}(?![0-9A-Za-z_.-])")

    def replaced(self, text: str, by: str) -> str:
        """Return a text in which another word stands for every trace; short ids are left to whoever knows the field.

        Example:
            >>> Needles(user_id="anna-77", longer=("anna-779",)).replaced("anna-77 and anna-779", "erased")
            'erased and anna-779'
        """
        for form in self._as_text if self.is_in(text) else ():
            if form.telling:
                content, pieces, after = text.encode("utf-8", "surrogatepass"), list[bytes](), 0
                for at in self._places(content, form.content):
                    if at >= after:
                        pieces += [content[after:at], by.encode()]
                        after = at + len(form.content)
                text = b"".join([*pieces, content[after:]]).decode("utf-8", "surrogatepass")
        return text

    @cached_property
    def _as_text(self) -> tuple[Form, ...]:
        words = {word.encode("utf-8", "surrogatepass") for word in self.words}
        return tuple(form for form in self.forms if form.content in words)

    def count(self, content: bytes, form: Form) -> int:
        """Return how often a form stands in some bytes, other ids that contain it left out.

        Args:
            content: Where to look.
            form: What to look for.
        """
        return sum(1 for _ in self._places(content, form.content))

    def _places(self, content: bytes, needle: bytes) -> Iterator[int]:
        at = content.find(needle)
        while at >= 0:
            if not self._of_another(content, at, needle):
                yield at
            at = content.find(needle, at + 1)

    def _of_another(self, content: bytes, at: int, needle: bytes) -> bool:
        for other in self._longer_bytes:
            start = other.find(needle)
            while start >= 0:
                if content[max(at - start, 0) : at - start + len(other)] == other:
                    return True
                start = other.find(needle, start + 1)
        return False

    @cached_property
    def _longer_bytes(self) -> tuple[bytes, ...]:
        return tuple(
            other.encode(codec, "surrogatepass")
            for other in self.longer
            for codec in ("utf-8", "utf-16-le", "utf-16-be")
        )


def containing(words: Sequence[str], ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that contain one of some words without being it.

    Example:
        >>> containing(["ann7"], ["ann7", "ann70", "joann7", "bo"])
        ('ann70', 'joann7')
    """
    return tuple(one for one in dict.fromkeys(ids) if any(word in one and word != one for word in words))
