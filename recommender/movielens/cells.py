"""Single cells: ids, titles, dates, lists written as Python literals, age ratings."""

import ast
import re
import warnings
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

NO_GENRES: Final = "(no genres listed)"
_LITERAL_AT_MOST: Final = 200_000
_ID: Final = re.compile(r"\d{1,12}(?:\.0+)?")
_YEAR: Final = re.compile(r"\s*\((\d{4})(?:[-\u2013](?:\d{4})?)?\)\s*$")
_SECOND_TITLE: Final = re.compile(r"\s*\(([^()]*)\)\s*$")
_ALSO_KNOWN: Final = re.compile(r"^a\.?k\.?a\.?:?\s+", re.IGNORECASE)
_PLAIN_LIST: Final = re.compile(r"\['[^'\\\n]*'(?:, '[^'\\\n]*')*\]")
_PLAIN_ITEM: Final = re.compile(r"'([^'\\\n]*)'")
_ARTICLE: Final = re.compile(
    r"^(?P<rest>.+), (?P<article>The|An|A|La|Le|Les|L'|El|Il|Lo|Los|Las|Der|Die|Das|Den|Det|De|Het|Un|Une|Una)$"
)
# The age below which the label asks for a parent or forbids. MPAA labels first, then the TV Parental Guidelines.
MINIMUM_AGES: Final[Mapping[str, int]] = {
    "G": 0, "PG": 7, "PG-13": 13, "R": 17, "NC-17": 18, "X": 18,
    "TV-Y": 0, "TV-Y7": 7, "TV-G": 0, "TV-PG": 7, "TV-14": 14, "TV-MA": 17,
}  # fmt: skip
_RATING_ALIASES: Final = {"M": "PG", "GP": "PG", "PG13": "PG-13", "NC17": "NC-17", "TVMA": "TV-MA"}
_UNRATED: Final = frozenset({"", "NR", "UR", "N/A", "NOT RATED", "UNRATED", "NOT YET RATED"})


def parse_id(text: str) -> str:
    """Return a whole number as text without leading zeros, or empty when it is none.

    Example:
        >>> parse_id(" 0862.0"), parse_id("abc")
        ('862', '')
    """
    text = text.strip()
    return str(int(text.split(".")[0])) if _ID.fullmatch(text) and text.isascii() else ""


def parse_title(text: str) -> tuple[str, str, int | None]:
    """Split a MovieLens title into title, second title and year.

    The article goes to the front. A title in brackets is the original one, or failing that the one it is also known
    as.

    Example:
        >>> parse_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
        ('The City of Lost Children', 'La Cité des enfants perdus', 1995)
        >>> parse_title("Seven (a.k.a. Se7en) (1995)")
        ('Seven', 'Se7en', 1995)
        >>> parse_title("Hyena Road")
        ('Hyena Road', '', None)
    """
    text = text.strip()
    found = _YEAR.search(text)
    year = int(found[1]) if found and found.start() > 0 else None
    if found and year is not None:
        text = text[: found.start()].strip()
    original = also_known = ""
    while (second := _SECOND_TITLE.search(text)) and second.start() > 0:
        inner, text = second[1].strip(), text[: second.start()].strip()
        if _ALSO_KNOWN.match(inner):
            also_known = also_known or _ALSO_KNOWN.sub("", inner)
        else:
            original = original or inner
    return _article_first(text), _article_first(original or also_known), year


def parse_date(text: str) -> date | None:
    """Return the day written as month/day/year or year-month-day, or None when it is none of them."""
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text.strip(), form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


def parse_number(text: str) -> float | None:
    """Return a finite number, thousands separated by commas allowed, or None when it is none."""
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def parse_list(text: str) -> list[str] | None:
    """Return the texts of a list written as a Python literal, or None when the literal is broken.

    Elements may be texts or dictionaries with a ``name``. The cell is read as a literal and never executed.

    Example:
        >>> parse_list("['Uma Thurman', 'Lucy Liu']"), parse_list("[{'id': 1, 'name': 'toy'}]"), parse_list("['a]")
        (['Uma Thurman', 'Lucy Liu'], ['toy'], None)
    """
    text = text.strip()
    if text in {"", "[]"}:
        return []
    if _PLAIN_LIST.fullmatch(text):
        # Four of five cells: what the parser would say, at a tenth of its time.
        return [name.strip() for name in _PLAIN_ITEM.findall(text) if name.strip()]
    if len(text) > _LITERAL_AT_MOST:
        return None
    try:
        with warnings.catch_warnings():
            # An unknown escape such as "\d" is text here, not code to warn about.
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return None
    names = [item.get("name") if isinstance(item, dict) else item for item in value]
    return None if any(not isinstance(n, str | None) for n in names) else [n.strip() for n in names if n and n.strip()]


def parse_age_rating(text: str) -> tuple[str, int | None] | None:
    """Return the label of an age rating and its minimum age.

    Returns:
        ``("", None)`` for a film without rating in any of its spellings, None for a label nobody knows.

    Example:
        >>> parse_age_rating("pg-13"), parse_age_rating("Not rated "), parse_age_rating("12A")
        (('PG-13', 13), ('', None), None)
    """
    label = " ".join(text.upper().split())
    if label in _UNRATED:
        return "", None
    label = _RATING_ALIASES.get(label, label)
    return (label, MINIMUM_AGES[label]) if label in MINIMUM_AGES else None


def _article_first(title: str) -> str:
    found = _ARTICLE.match(title)
    if not found:
        return title
    gap = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{gap}{found['rest']}"
