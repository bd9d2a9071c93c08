"""Pages of the documentation whose figures are put in by the script that measured them, between two marks."""

from pathlib import Path
from typing import Final

MARKS: Final = ("<!-- simulated:begin -->", "<!-- simulated:end -->")


def insert(page: Path, text: str) -> None:
    """Put the figures between the marks of a page; a page without marks stays as it is."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if begin and end:
        page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")
