"""Text from outside, made safe to show where characters can steer: terminals and reports."""

import unicodedata


def printable(text: str) -> str:
    r"""Return the text without what could steer a terminal or reorder a line.

    Titles, ids and arguments come from outside: control characters (escape sequences among them), bidirectional
    overrides and lone surrogates are shown as their escapes.

    Example:
        >>> printable("Alien\x1b[2J")
        'Alien\\x1b[2J'
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    # Joiners are format characters too, but neutral to direction: Persian and emoji need them.
    reorders = category == "Cf" and unicodedata.bidirectional(character) != "BN"
    if character == "\n" or not (category in ("Cc", "Cs") or reorders):
        return character
    return character.encode("unicode_escape").decode("ascii")
