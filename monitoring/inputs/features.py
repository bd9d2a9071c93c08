"""What a film, or a user's taste, is measured by when inputs are compared."""

import datetime as dt
from typing import TYPE_CHECKING, Final

import numpy as np

from workspace.columns import Film, Interaction, Trait, User

if TYPE_CHECKING:
    import pandas as pd

FILM_COLUMNS: Final = (
    Trait.GENRES,
    Trait.KEYWORDS,
    Trait.REPEATED_KEYWORDS,
    Trait.CAST,
    Trait.REGIONS,
    Trait.SYNOPSIS_CHARS,
    Trait.NO_SYNOPSIS,
    Trait.SAME_SYNOPSIS,
    Trait.RELEASE_YEAR,
    Trait.FIRST_GENRE,
    Trait.FIRST_KEYWORD,
    Film.RUNTIME_MIN,
    Film.MINIMUM_AGE,
    Film.POPULARITY,
    Film.VOTE_AVERAGE,
    Film.VOTE_COUNT,
    Film.PROVIDER,
)
USER_COLUMNS: Final = (User.REGION, User.MARKET, User.PREMIUM, User.MAXIMUM_AGE, User.CONSENT)
LIKED: Final = ("watched", "rated")
SHORTEST_SYNOPSIS: Final = 20
"""A synopsis of fewer characters says nothing about a film."""


def film_features(films: "pd.DataFrame") -> "pd.DataFrame":
    """Return the measures of films, one row each in the same order, columns `FILM_COLUMNS`.

    A missing number stays missing: a film of unknown runtime has no runtime, not one of 0. A missing or very short
    synopsis is a measure of its own, and its length is not known.

    Args:
        films: Columns `Film.ALL`.
    """
    import pandas as pd

    text = films[Film.SYNOPSIS].fillna("").astype(str).str.strip()
    chars = text.str.len().astype("float64")
    missing = chars < SHORTEST_SYNOPSIS
    keywords = films[Film.KEYWORDS]
    return pd.DataFrame(
        {
            Trait.GENRES: _lengths(films[Film.GENRES]),
            Trait.KEYWORDS: _lengths(keywords),
            Trait.REPEATED_KEYWORDS: [float(len(words) - len({_plain(word) for word in words})) for words in keywords],
            Trait.CAST: _lengths(films[Film.CAST]),
            Trait.REGIONS: _lengths(films[Film.AVAILABLE_REGIONS]),
            Trait.SYNOPSIS_CHARS: chars.where(~missing).to_numpy(),
            Trait.NO_SYNOPSIS: missing.to_numpy(dtype=np.float64),
            # Empty ones are alike too, but they are counted above.
            Trait.SAME_SYNOPSIS: (text.str.casefold().duplicated(keep=False) & ~missing).to_numpy(dtype=np.float64),
            Trait.RELEASE_YEAR: films[Film.RELEASE_DATE].dt.year.to_numpy(dtype=np.float64, na_value=np.nan),
            Trait.FIRST_GENRE: [words[0] if len(words) else "" for words in films[Film.GENRES]],
            Trait.FIRST_KEYWORD: [words[0] if len(words) else "" for words in keywords],
            **{name: films[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in _NUMBERS},
            Film.PROVIDER: films[Film.PROVIDER].fillna("").astype(str).to_numpy(dtype=object),
        },
        columns=list(FILM_COLUMNS),
    )


_NUMBERS: Final = (Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT)


def user_features(users: "pd.DataFrame") -> "pd.DataFrame":
    """Return what users are compared by, one row each, columns `USER_COLUMNS`."""
    import pandas as pd

    return pd.DataFrame(
        {
            User.REGION: users[User.REGION].to_numpy(dtype=object),
            User.MARKET: users[User.MARKET].to_numpy(dtype=object),
            User.PREMIUM: users[User.PREMIUM].to_numpy(dtype=np.float64),
            User.MAXIMUM_AGE: users[User.MAXIMUM_AGE].to_numpy(dtype=np.float64, na_value=np.nan),
            User.CONSENT: users[User.CONSENT].to_numpy(dtype=np.float64),
        },
        columns=list(USER_COLUMNS),
    )


def taste_profiles(
    films: "pd.DataFrame", interactions: "pd.DataFrame", start: dt.datetime, end: dt.datetime
) -> "pd.DataFrame":
    """Return each user's share of genres among what was watched or rated in a span, one row a user.

    It is the linear part of the recommender's user vector, at the price of one join. A film of several genres counts
    for each in equal parts, so that a row sums to 1.

    Args:
        films: Columns `Film.ALL`.
        interactions: Columns `Interaction.ALL`.
        start: First moment, aware.
        end: Moment before which, aware.
    """
    import pandas as pd

    when = interactions[Interaction.TS]
    chosen = interactions[(when >= start) & (when < end) & interactions[Interaction.KIND].isin(LIKED)]
    genres = films[[Film.ID, Film.GENRES]].copy()
    genres["_part"] = [1.0 / max(1, len(words)) for words in genres[Film.GENRES]]
    each = genres.explode(Film.GENRES).dropna(subset=[Film.GENRES])
    met = chosen[[Interaction.USER, Interaction.FILM]].merge(each, left_on=Interaction.FILM, right_on=Film.ID)
    if met.empty:
        return pd.DataFrame()
    table = met.pivot_table(index=Interaction.USER, columns=Film.GENRES, values="_part", aggfunc="sum", fill_value=0.0)
    return table.div(table.sum(axis=1), axis=0)


def _lengths(cells: "pd.Series") -> list[float]:
    return [float(len(cell)) for cell in cells]


def _plain(word: str) -> str:
    return " ".join(str(word).casefold().split())
