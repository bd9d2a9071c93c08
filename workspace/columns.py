"""Every column name of the project, once.

No other module spells a column as a string literal. The groups follow the contracts of the data: film, user,
interaction, quarantine and provenance.
"""

from typing import Final


class Film:
    """Columns of a film, in the order they are stored."""

    ID: Final = "film_id"
    TITLE: Final = "title"
    ORIGINAL_TITLE: Final = "original_title"
    SYNOPSIS: Final = "synopsis"
    TAGLINE: Final = "tagline"
    RELEASE_DATE: Final = "release_date"
    GENRES: Final = "genres"
    KEYWORDS: Final = "keywords"
    CAST: Final = "cast"
    DIRECTORS: Final = "directors"
    WRITERS: Final = "writers"
    STUDIOS: Final = "studios"
    COUNTRIES: Final = "countries"
    LANGUAGES: Final = "languages"
    COLLECTION: Final = "collection"
    RUNTIME_MIN: Final = "runtime_min"
    AGE_RATING: Final = "age_rating"
    MINIMUM_AGE: Final = "minimum_age"
    POPULARITY: Final = "popularity"
    VOTE_AVERAGE: Final = "vote_average"
    VOTE_COUNT: Final = "vote_count"
    AVAILABLE_REGIONS: Final = "available_regions"
    BLOCKED_REGIONS: Final = "blocked_regions"
    PROVIDER: Final = "provider"
    UPDATED_AT: Final = "updated_at"

    LISTS: Final = (
        GENRES,
        KEYWORDS,
        CAST,
        DIRECTORS,
        WRITERS,
        STUDIOS,
        COUNTRIES,
        LANGUAGES,
        AVAILABLE_REGIONS,
        BLOCKED_REGIONS,
    )
    TEXTS: Final = (TITLE, ORIGINAL_TITLE, SYNOPSIS, TAGLINE, COLLECTION, AGE_RATING, PROVIDER)
    ALL: Final = (
        ID,
        TITLE,
        ORIGINAL_TITLE,
        SYNOPSIS,
        TAGLINE,
        RELEASE_DATE,
        GENRES,
        KEYWORDS,
        CAST,
        DIRECTORS,
        WRITERS,
        STUDIOS,
        COUNTRIES,
        LANGUAGES,
        COLLECTION,
        RUNTIME_MIN,
        AGE_RATING,
        MINIMUM_AGE,
        POPULARITY,
        VOTE_AVERAGE,
        VOTE_COUNT,
        AVAILABLE_REGIONS,
        BLOCKED_REGIONS,
        PROVIDER,
        UPDATED_AT,
    )


class User:
    """Columns of a user; the id is a pseudonym."""

    ID: Final = "user_id"
    REGION: Final = "region"
    MARKET: Final = "market"
    PREMIUM: Final = "premium"
    JOINED_AT: Final = "joined_at"
    EXCLUDED_GENRES: Final = "excluded_genres"
    MAXIMUM_AGE: Final = "maximum_age"
    CONSENT: Final = "consent"

    ALL: Final = (ID, REGION, MARKET, PREMIUM, JOINED_AT, EXCLUDED_GENRES, MAXIMUM_AGE, CONSENT)


class Interaction:
    """Columns of one act of a user on a film."""

    USER: Final = "user_id"
    FILM: Final = "film_id"
    KIND: Final = "kind"
    VALUE: Final = "value"
    TS: Final = "ts"

    ALL: Final = (USER, FILM, KIND, VALUE, TS)


class Quarantine:
    """Columns of a row that was refused, with the reason."""

    SOURCE: Final = "source"
    ROW: Final = "row"
    KEY: Final = "key"
    FIELD: Final = "field"
    VALUE: Final = "value"
    REASON: Final = "reason"

    ALL: Final = (SOURCE, ROW, KEY, FIELD, VALUE, REASON)


class Provenance:
    """Columns that say which provider a field of a film came from, and what the others said."""

    FILM: Final = "film_id"
    FIELD: Final = "field"
    PROVIDER: Final = "provider"
    UPDATED_AT: Final = "updated_at"
    AGREED: Final = "agreed"
    OTHER_VALUE: Final = "other_value"

    ALL: Final = (FILM, FIELD, PROVIDER, UPDATED_AT, AGREED, OTHER_VALUE)
