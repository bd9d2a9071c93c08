"""How the console says what the engine names: blocks, rules, kinds of act and verdicts in plain words."""

from typing import Final

from recommender.block_names import BLOCK_NAMES
from workspace.columns import Film, Rollup

WHOLE: Final = ("text", "acclaim", "quality", "popularity", "recency", "audience", "closest_film")
RULES: Final = {
    "catalogue": "In the catalogue",
    "released": "Released by the date",
    "availability": "Offered in the region",
    "legal_block": "Not blocked by law",
    "age": "Within the user's age limit",
    "seen": "Not seen yet",
    "dismissed": "Not dismissed",
    "excluded_genres": "Not an excluded genre",
    "age_filter": "Within the age filter",
    "language": "In a chosen language",
    "year": "In the chosen years",
    "shown_lately": "Not shown lately",
}
RELAX: Final = {
    "excluded_genres": "allow an excluded genre",
    "age_filter": "raise the age limit",
    "language": "add a language, or clear the choice",
    "year": "widen the years",
    "shown_lately": "wait, or ask for a date when the films shown lately count no more",
}
KINDS: Final = {"watched": "watched", "rated": "rated", "thumbs_down": "thumbs down", "dismissed": "dismissed"}
FIELDS: Final = {
    Film.ORIGINAL_TITLE: "Original title",
    Film.TAGLINE: "Tagline",
    Film.RELEASE_DATE: "Released",
    Film.GENRES: "Genres",
    Film.RUNTIME_MIN: "Length, min",
    Film.AGE_RATING: "Age rating",
    Film.DIRECTORS: "Directed by",
    Film.WRITERS: "Written by",
    Film.CAST: "Cast",
    Film.STUDIOS: "Studios",
    Film.COUNTRIES: "Countries",
    Film.LANGUAGES: "Languages",
    Film.COLLECTION: "Series",
    Film.KEYWORDS: "Keywords",
    Film.VOTE_AVERAGE: "Average vote",
    Film.VOTE_COUNT: "Votes",
    Film.AVAILABLE_REGIONS: "Offered in",
    Film.BLOCKED_REGIONS: "Blocked by law in",
    Film.PROVIDER: "Main provider",
    Film.UPDATED_AT: "Updated",
}
DIMENSIONS: Final = {
    "region": "Region",
    "market": "Market",
    "device": "Device",
    "experiment": "Experiment",
    "variant": "Variant",
    "index_version": "Index version",
}
MEASURES: Final = {
    Rollup.IMPRESSIONS: "Films shown",
    Rollup.CLICKS: "Clicks",
    Rollup.FOCUS_S: "Seconds of focus",
    Rollup.THUMBS_DOWN: "Thumbs down",
    Rollup.REFRESHES: "Refreshes",
    Rollup.SLATES: "Slates",
    Rollup.SURVEYS: "Answers",
    Rollup.SURVEY_SCORE: "Sum of scores",
    Rollup.SESSIONS: "Sessions",
    Rollup.USERS: "Days of activity",
}
VERDICTS: Final = {
    "unknown": "Not in the catalogue",
    "rule": "Stopped by a rule",
    "not_candidate": "Outside the candidates",
    "outranked": "Outranked",
    "recommended": "Recommended",
}


def block(name: str) -> str:
    """Return a block's name in words.

    Example:
        >>> block("people")
        'Cast and crew'
    """
    return BLOCK_NAMES.get(name, name.replace("_", " ").capitalize())


def rule(name: str) -> str:
    """Return what a film must be to pass a rule."""
    return RULES.get(name, name.replace("_", " ").capitalize())


def feature(block_name: str, name: str) -> str:
    """Return a named feature in words; a block without parts is called by its own name.

    Example:
        >>> feature("people", "director: Agnès Varda"), feature("quality", "quality: liking of all who watched it")
        ('Director: Agnès Varda', 'How well it is liked')
    """
    if not name or block_name in WHOLE:
        return block(block_name)
    return name[:1].upper() + name[1:]


def unattributed(name: str) -> str:
    """Return what no film of the history accounts for in words: a prior, or the market's mean."""
    return feature(name.partition(":")[0], name)


def count(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "film"), count(1200, "film")
        ('1 film', '1,200 films')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def dimension(name: str) -> str:
    """Return a dimension of telemetry in words.

    Example:
        >>> dimension("index_version")
        'Index version'
    """
    return DIMENSIONS.get(name, name.replace("_", " ").capitalize())


def measure(name: str) -> str:
    """Return what a column of the rollups counts, in words."""
    return MEASURES.get(name, name.replace("_", " ").capitalize())
