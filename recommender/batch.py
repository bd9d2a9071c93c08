"""Every user's films at once, for exposure counts and nightly lists."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.catalogue import Catalogue
from recommender.profile import profiles
from recommender.rules import Request
from recommender.view import View
from workspace.columns import Film, Interaction, User

_EPOCH: Final = dt.date(1970, 1, 1)
_BLOCK_USERS: Final = 512
LEAST_USERS: Final = 10
RANK: Final = "rank"
SCORE: Final = "score"


def recommend_all(view: View, *, k: int, on: dt.date) -> pd.DataFrame:
    """Return k films for every imported user: user_id, rank, film_id, score.

    Only lawfulness and what was seen or turned down apply, with the genres and the age the user's profile sets.

    Args:
        view: The version and the catalogue.
        k: How many films a user.
        on: The date answered for.
    """
    users = view.catalogue.users
    end = pd.Timestamp(on + dt.timedelta(days=1), tz="UTC")
    interactions = view.catalogue.interactions
    codes = {user: code for code, user in enumerate(users[User.ID])}
    acts = Acts.of(interactions.loc[interactions[Interaction.TS] < end], view.film_rows, codes)
    order = np.argsort(acts.users, kind="stable")
    acts = acts.take(order)
    starts = np.searchsorted(acts.users, np.arange(len(users) + 1))
    weights = view.matrix.layout.spread(view.configuration.weights)
    parts: list[pd.DataFrame] = []
    for first in range(0, len(users), _BLOCK_USERS):
        block = users.iloc[first : first + _BLOCK_USERS]
        own = acts.take(np.arange(starts[first], starts[first + len(block)]))
        own = Acts(
            users=own.users - first,
            films=own.films,
            likes=own.likes,
            watched=own.watched,
            positive=own.positive,
            days=own.days,
        )
        vectors = profiles(
            view.matrix,
            own,
            days=np.full(len(block), float((on - _EPOCH).days + 1)),
            markets=block[User.MARKET].tolist(),
            pooling=view.configuration.pooling,
        )
        masks = _masks(view, block, own, on)
        hits = view.index.search_many(vectors * weights, k=k, allowed=masks)
        parts.append(
            pd.DataFrame(
                {
                    User.ID: np.repeat(block[User.ID].to_numpy(), [len(hit.rows) for hit in hits]),
                    RANK: np.concatenate([np.arange(1, len(hit.rows) + 1) for hit in hits]),
                    Film.ID: [view.stored.film_ids[row] for hit in hits for row in hit.rows.tolist()],
                    SCORE: np.concatenate([hit.scores for hit in hits]),
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=[User.ID, RANK, Film.ID, SCORE])
    return pd.concat(parts, ignore_index=True)


def _masks(view: View, users: pd.DataFrame, acts: Acts, on: dt.date) -> npt.NDArray[np.bool_]:
    out = np.empty((len(users), view.index.rows), dtype=np.bool_)
    known: dict[tuple[Any, ...], npt.NDArray[np.bool_]] = {}
    columns = [User.REGION, User.MAXIMUM_AGE, User.EXCLUDED_GENRES]
    for place, (region, age, genres) in enumerate(users[columns].itertuples(index=False)):
        limit = None if pd.isna(age) else int(age)
        key = (region, limit, tuple(genres))
        if key not in known:
            request = Request(on=on, region=region, user_maximum_age=limit, user_excluded_genres=tuple(genres))
            known[key] = view.rules.decide(request).allowed
        out[place] = known[key]
    out[acts.users, acts.films] = False
    return out


def who_gets(slates: pd.DataFrame, catalogue: Catalogue, film_id: str) -> dict[str, Any]:
    """Count the users who get a film, by region; a count of 1 … 9 is withheld, and what would reveal it.

    Args:
        slates: From `recommend_all`.
        catalogue: Knows each user's region.
        film_id: The film.

    Returns:
        ``{"users": n or None, "by_region": {region: n or None}, "suppressed": cells withheld}``.
    """
    users = slates.loc[slates[Film.ID] == film_id, User.ID]
    regions = catalogue.users.set_index(User.ID)[User.REGION]
    counts = regions.reindex(users).value_counts()
    cells: dict[str, int | None] = {region: int(counts.get(region, 0)) for region in sorted(set(regions))}
    hidden = [region for region, count in cells.items() if count is not None and 0 < count < LEAST_USERS]
    total: int | None = len(users) if len(users) == 0 or len(users) >= LEAST_USERS else None
    # Taken from the total, the shown cells would give the sum of the hidden ones: the smallest shown go with them
    # until that sum leaves every small count open; where there are not enough, the total goes.
    shown = sorted((r for r in cells if r not in hidden and counts.get(r, 0)), key=lambda r: int(counts[r]))
    while hidden and total is not None and _tells(counts.reindex(hidden).tolist()):
        if shown:
            hidden.append(shown.pop(0))
        else:
            total = None
    for region in hidden:
        cells[region] = None
    return {"users": total, "by_region": cells, "suppressed": len(hidden) + (total is None)}


def _tells(hidden: Sequence[int]) -> bool:
    """Say whether the sum of hidden counts narrows down one of them: one alone, or all of them small."""
    return len(hidden) == 1 or sum(hidden) < 2 * LEAST_USERS
