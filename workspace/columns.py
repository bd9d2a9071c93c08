"""Every column name of the project, once.

No other module spells a column as a string literal. The groups follow the contracts of the data: film, user,
interaction, quarantine, provenance, telemetry event, its rollups, experiment and system sample.
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


class Event:
    """Columns of a telemetry event, in the order they are stored."""

    ID: Final = "event_id"
    TS: Final = "ts"
    RECEIVED_AT: Final = "received_at"
    USER: Final = "user_id"
    SESSION: Final = "session_id"
    TRANSACTION: Final = "transaction_id"
    REGION: Final = "region"
    DEVICE: Final = "device"
    TYPE: Final = "event_type"
    SLATE: Final = "slate_id"
    FILM: Final = "film_id"
    POSITION: Final = "position"
    VALUE: Final = "value"
    EXPERIMENT: Final = "experiment_id"
    VARIANT: Final = "variant"
    INDEX_VERSION: Final = "index_version"
    EXTRA: Final = "extra"  # fields nobody knew when the event came, as one JSON object

    CONTRACT: Final = (
        ID,
        TS,
        RECEIVED_AT,
        USER,
        SESSION,
        TRANSACTION,
        REGION,
        DEVICE,
        TYPE,
        SLATE,
        FILM,
        POSITION,
        VALUE,
        EXPERIMENT,
        VARIANT,
        INDEX_VERSION,
    )
    ALL: Final = (*CONTRACT, EXTRA)


class Rollup:
    """Columns of the rollups of events; the dimensions are those of the event and the market."""

    DATE: Final = "event_date"
    WEEK: Final = "week_start"
    HOUR: Final = "event_hour"
    BUCKET: Final = "bucket"
    MARKET: Final = "market"
    EVENTS: Final = "events"
    IMPRESSIONS: Final = "impressions"
    SLATES: Final = "slates"
    CLICKS: Final = "clicks"
    FOCUSES: Final = "focuses"
    FOCUS_S: Final = "focus_s"
    THUMBS_DOWN: Final = "thumbs_down"
    REFRESHES: Final = "refreshes"
    SURVEYS: Final = "surveys"
    SURVEY_SCORE: Final = "survey_score"
    SESSIONS: Final = "sessions"
    USERS: Final = "n_users"
    POSITIVE_SURVEYS: Final = "positive_surveys"
    LONG_LOOKS: Final = "long_looks"
    TOP_IMPRESSIONS: Final = "top_impressions"

    SUMS: Final = (
        EVENTS,
        IMPRESSIONS,
        SLATES,
        CLICKS,
        FOCUSES,
        FOCUS_S,
        THUMBS_DOWN,
        REFRESHES,
        SURVEYS,
        SURVEY_SCORE,
        SESSIONS,
    )
    OF_USERS: Final = (POSITIVE_SURVEYS, LONG_LOOKS, TOP_IMPRESSIONS)
    """Sums that are kept for single users only."""
    OF_FILMS: Final = (IMPRESSIONS, CLICKS, THUMBS_DOWN)
    """Sums that are kept for single films."""


class Trial:
    """Columns of the sums of an experiment: which cell, how many users; the sums of a user bear their own names."""

    EXPERIMENT: Final = "experiment_id"
    VARIANT: Final = "variant"
    REGION: Final = "region"
    DEVICE: Final = "device"
    BUCKET: Final = "bucket"
    DATE: Final = "event_date"
    AGE: Final = "days_since_exposure"
    N: Final = "n"
    INTERACTIONS: Final = "interactions"
    ACTIVE_DAYS: Final = "active_days"
    PRE: Final = "pre_"
    """Prefix of the same sum over the days before the experiment: a covariate."""
    CAPPED: Final = "_capped"
    """Suffix of a sum that is cut at a quantile over users."""


class Sample:
    """Columns of one scrape of one service in one region; counters only grow until their process restarts."""

    TS: Final = "ts"
    SERVICE: Final = "service"
    REGION: Final = "region"
    REQUESTS: Final = "requests_total"
    ERRORS: Final = "errors_total"
    LATENCY_SUM: Final = "latency_seconds_sum"
    BUCKETS: Final = (
        "le_0_05",
        "le_0_1",
        "le_0_25",
        "le_0_5",
        "le_0_75",
        "le_1",
        "le_2_5",
        "le_5",
        "le_inf",
    )
    CPU: Final = "cpu_ratio"
    MEMORY: Final = "memory_ratio"
    UP: Final = "up"
    ACTIVE_SESSIONS: Final = "active_sessions"

    ALL: Final = (TS, SERVICE, REGION, REQUESTS, ERRORS, LATENCY_SUM, *BUCKETS, CPU, MEMORY, UP, ACTIVE_SESSIONS)


class LogLine:
    """Keys of a line of the log that queries look at."""

    TS: Final = "ts"
    LEVEL: Final = "level"
    SERVICE: Final = "service"
    LOGGER: Final = "logger"
    MESSAGE: Final = "message"
    TRANSACTION: Final = "transaction_id"
    DURATION_MS: Final = "duration_ms"
    REGION: Final = "region"
    SLATE: Final = "slate_id"
    STATUS: Final = "status"

    ALL: Final = (TS, LEVEL, SERVICE, LOGGER, MESSAGE, TRANSACTION, DURATION_MS, REGION, SLATE, STATUS)


class Trait:
    """Columns of what monitoring measures a film by."""

    GENRES: Final = "n_genres"
    KEYWORDS: Final = "n_keywords"
    CAST: Final = "n_cast"
    REGIONS: Final = "n_regions"
    SYNOPSIS_CHARS: Final = "synopsis_chars"
    NO_SYNOPSIS: Final = "no_synopsis"
    SAME_SYNOPSIS: Final = "same_synopsis"
    REPEATED_KEYWORDS: Final = "repeated_keywords"
    RELEASE_YEAR: Final = "release_year"
    FIRST_GENRE: Final = "first_genre"
    FIRST_KEYWORD: Final = "first_keyword"


class Conduct:
    """Columns of how an account behaved on a day, a slate was composed, or requests went; all computed, none stored."""

    IMPRESSIONS: Final = "log_impressions"
    A_SESSION: Final = "log_impressions_a_session"
    CLICK_RATE: Final = "logit_click_rate"
    DWELL: Final = "log_dwell_a_click"
    OTHER_ACTS: Final = "log_other_acts_a_slate"
    CROWD: Final = "in_crowd"
    SAME_FILM: Final = "clicks_on_one_film"

    BY_DAY: Final = (IMPRESSIONS, A_SESSION, CLICK_RATE, DWELL, OTHER_ACTS)

    SHORT: Final = "films_missing"
    SAME_LEAD: Final = "films_with_a_lead_before"
    SAME_GENRE: Final = "share_of_commonest_genre"
    SAME_COLLECTION: Final = "films_with_a_collection_before"
    GAP: Final = "largest_score_gap"
    OF_SLATE: Final = (SHORT, SAME_LEAD, SAME_GENRE, SAME_COLLECTION, GAP)
