"""Bytes of unknown encoding to text: files that mix encodings, and text that was decoded wrongly once before.

Three kinds of damage occur in real film tables, and each is undone only where the bytes prove it:

* one file holds UTF-8 and cp1252 side by side: valid UTF-8 sequences are read as such, other bytes as cp1252;
* UTF-8 was once read as cp1252 or latin-1 and stored again ("MatÃ­as"): the way back must give valid UTF-8;
* UTF-8 was once read as Mac Roman and stored as cp1252 ("‚Äì" for a dash), where letters cp1252 does not have became
  "?": the way back must give valid UTF-8, and such a file must show that damage in its quotes and dashes.
"""

import codecs
import re
from typing import Final

from workspace.errors import SchemaError

UTF8: Final = "utf-8"
MIXED: Final = "utf-8 and cp1252 mixed"
MAC_DAMAGED: Final = "utf-8 read as mac-roman, stored as cp1252"

_MIXED_ERRORS: Final = "recommendr-mixed"
# "‚Ä" begins every typographic quote and dash after that accident; nobody writes a low quote before a capital Ä.
_MAC_MARK: Final = b"\x82\xc4"
_MAC_MARKS_NEEDED: Final = 3
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_RESAVE: Final = "save the file again as UTF-8"


def _cp1252(raw: bytes) -> str:
    """Return cp1252 text; its five undefined bytes become the control characters of the same number."""
    return "".join(codecs.decode(bytes((b,)), "cp1252", "ignore") or chr(b) for b in raw)


def _rest_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _cp1252(error.object[error.start : error.end]), error.end


codecs.register_error(_MIXED_ERRORS, _rest_as_cp1252)

_CP1252: Final = [_cp1252(bytes((b,))) for b in range(256)]
_MAC: Final = [bytes((b,)).decode("mac-roman") for b in range(256)]
_TRAIL_BYTES: Final = range(0x80, 0xC0)
_BYTE_OF: Final = {c: b for b, c in enumerate(_CP1252)} | {chr(b): b for b in range(0x80, 0xA0)}
_TRAILS: Final = "".join(dict.fromkeys(c for c, b in _BYTE_OF.items() if b in _TRAIL_BYTES))
# After a plain letter such as "Ä" a closing quote or a dash is ordinary writing, so it proves nothing.
_ODD_TRAILS: Final = "".join(c for c in _TRAILS if c not in "‘’“”–—…›»")
_TWICE: Final = re.compile(
    f"[\u00e2\u00e3\u00e1\u00ef][{re.escape(_TRAILS)}]{{2}}"
    f"|[\u00c3][{re.escape(_TRAILS)}]"
    f"|[\u00c2\u00c4\u00c5][{re.escape(_ODD_TRAILS)}]"
    f"|\u00f0[{re.escape(_TRAILS)}]{{3}}"
)
_MAC_TRAILS: Final = re.escape("".join(_MAC[0x80:0xC0]))
_MAC_TWICE: Final = re.compile(f"[‚Ô·„][{_MAC_TRAILS}]{{2}}|[¬√ƒ≈∆?][{_MAC_TRAILS}]")
_C1: Final = re.compile("[\x80-\x9f]")


def decode(raw: bytes, name: str) -> tuple[str, str]:
    r"""Return the text of a file and how it was read.

    Args:
        raw: The bytes.
        name: What to call the file in an error.

    Returns:
        The text with wrong decodings undone, and the name of the encoding.

    Raises:
        SchemaError: When the file is empty, UTF-16, UTF-32 or not text.

    Example:
        >>> decode(b"Mat\xc3\x83\xc2\xadas", "films.csv")
        ('Matías', 'utf-8')
        >>> decode(b"Skarsg\xc3\xa5rd, Lem\xf3n", "films.csv")
        ('Skarsgård, Lemón', 'utf-8 and cp1252 mixed')
    """
    if not raw.strip():
        raise SchemaError(f"{name} is empty", "must have a header and rows", "export the file again")
    if raw.startswith(_WIDE) or raw[:4096].count(0) > len(raw[:4096]) // 8:
        raise SchemaError(f"{name} is UTF-16, UTF-32 or not text", "must be UTF-8 or cp1252", _RESAVE)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return repair(raw.decode(UTF8)), UTF8
    except UnicodeDecodeError:
        pass
    if raw.count(_MAC_MARK) >= _MAC_MARKS_NEEDED:
        return _repair_mac(_cp1252_fast(raw)), MAC_DAMAGED
    return repair(raw.decode(UTF8, errors=_MIXED_ERRORS)), MIXED


def repair(text: str) -> str:
    """Return the text with wrong decodings undone where the way back gives valid UTF-8.

    Example:
        >>> repair("Academy AwardÂ®, Ã‰ric, CAFÉ’S")
        'Academy Award®, Éric, CAFÉ’S'
    """
    if text.isascii():
        return text
    text = _TWICE.sub(_redecode, text)
    # What is left of the C1 range was cp1252 once: nobody writes control characters into a title on purpose.
    return _C1.sub(lambda found: _CP1252[ord(found[0])], text)


def _redecode(found: re.Match[str]) -> str:
    try:
        return bytes(_BYTE_OF[c] for c in found[0]).decode(UTF8)
    except (UnicodeDecodeError, KeyError):
        return found[0]


def _cp1252_fast(raw: bytes) -> str:
    return raw.decode("latin-1").translate({b: c for b, c in enumerate(_CP1252) if ord(c) != b})


def _repair_mac(text: str) -> str:
    return _MAC_TWICE.sub(_from_mac, text)


def _from_mac(found: re.Match[str]) -> str:
    # "√" (byte C3, which leads the accented letters of western Europe) is what cp1252 lost to "?".
    try:
        return found[0].replace("?", "√").encode("mac-roman").decode(UTF8)
    except UnicodeError:
        return found[0]
