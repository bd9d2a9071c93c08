"""Text from outside: kept as text, without the characters that would change how a page or a terminal shows it.

HTML and Markdown stay literally what they are; the pages show text as text. Control characters, bidirectional marks
and overrides, and lone surrogates are removed, and every removal is named so that it can be reported.
"""

import re
import unicodedata
from typing import Final

MAXIMUM_CHARACTERS: Final = 20_000

CONTROL_REMOVED: Final = "control characters removed"
BIDI_REMOVED: Final = "bidirectional marks removed"
SURROGATE_REMOVED: Final = "lone surrogates removed"
SHORTENED: Final = f"shortened to {MAXIMUM_CHARACTERS} characters"

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb]")
_BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SPACE: Final = re.compile(r"\s+")
_REMOVALS: Final = ((_CONTROL, CONTROL_REMOVED), (_BIDI, BIDI_REMOVED), (_SURROGATE, SURROGATE_REMOVED))
_SHOWN_CHARACTERS: Final = 200


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    r"""Return the text fit to be shown on one line, and what had to be done to it.

    White space of any kind becomes single spaces and the form is NFC; neither counts as a repair.

    Args:
        text: Any string.

    Returns:
        The clean text, and a reason for each kind of removal.

    Example:
        >>> clean_text("<b>Up</b>\u202e now")
        ('<b>Up</b> now', ('bidirectional marks removed',))
    """
    if text.isascii() and text.isprintable() and len(text) <= MAXIMUM_CHARACTERS and "  " not in text:
        # Nearly every text of a catalogue takes this way: printable ASCII has nothing to remove.
        return text.strip(), ()
    reasons = []
    if len(text) > MAXIMUM_CHARACTERS:
        text = text[:MAXIMUM_CHARACTERS]
        reasons.append(SHORTENED)
    if not text.isascii() or not text.isprintable():
        for pattern, reason in _REMOVALS:
            text, count = pattern.subn("", text)
            if count:
                reasons.append(reason)
        text = unicodedata.normalize("NFC", text)
    return _SPACE.sub(" ", text).strip(), tuple(reasons)


def shown(value: object) -> str:
    """Return a value as it may appear in a report: short, one line, every unprintable character escaped."""
    text = value if isinstance(value, str) else str(value)
    text = text[:_SHOWN_CHARACTERS]
    if not text.isprintable() or not text.isascii():
        text = "".join(c if c.isprintable() and not _BIDI.match(c) else ascii(c)[1:-1] for c in text)
    return text


def folded(text: str) -> str:
    """Return the text for comparison: no case, no accents, single spaces.

    Example:
        >>> folded("Amélie  POULAIN")
        'amelie poulain'
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _SPACE.sub(" ", text.casefold()).strip()
