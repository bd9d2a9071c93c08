"""The catalogue's own users as a panel: pseudonyms with a region, a market and nothing else an audit could swap."""

import datetime as dt
from typing import Final

import numpy as np
import pandas as pd

from audit.panel import COLUMNS, PERSONA, TASTE, Panel, replace_users
from audit.plan import MARKET, PREMIUM, REGION, AuditPlan
from recommender.acts import Acts
from recommender.view import View
from workspace.columns import Interaction, User
from workspace.errors import NotEstimableError

NO_HISTORY: Final = "no history before the days held back"


def observed_panel(plan: AuditPlan, view: View) -> Panel:
    """Return the catalogue's users with their histories as of the days held back.

    What they liked in the last ``plan.holdout_days`` before ``plan.on`` is kept back; it is judged, never reported by
    user. Users without a history before are left out and counted.

    Raises:
        NotEstimableError: When fewer users are left than may be reported on.
    """
    users, interactions = view.catalogue.users, view.catalogue.interactions
    end = pd.Timestamp(plan.on + dt.timedelta(days=1), tz="UTC")
    cut = pd.Timestamp(plan.on - dt.timedelta(days=plan.holdout_days - 1), tz="UTC")
    codes = {user: code for code, user in enumerate(users[User.ID])}
    moments = interactions[Interaction.TS]
    before = Acts.of(interactions.loc[moments < cut], view.film_rows, codes)
    later = Acts.of(interactions.loc[(moments >= cut) & (moments < end)], view.film_rows, codes)
    present = np.unique(before.users)
    if len(present) < plan.k_anonymity:
        raise NotEstimableError(
            f"{len(present)} users have a history before {cut.date()}",
            f"must be >= {plan.k_anonymity}, the least that may be reported on",
            "choose a later date, fewer days held back, or a panel of personas",
        )
    chosen = users.iloc[present].reset_index(drop=True)
    accounts = pd.DataFrame({column: [""] * len(chosen) for column in COLUMNS})
    accounts[PERSONA] = chosen[User.ID].to_numpy(object)
    accounts[TASTE] = np.arange(len(chosen))
    for axis, column in ((REGION, User.REGION), (MARKET, User.MARKET)):
        accounts[axis] = chosen[column].astype(str).to_numpy(object)
    accounts[PREMIUM] = chosen[User.PREMIUM].astype(bool).tolist()
    limits = chosen[User.MAXIMUM_AGE].tolist()
    accounts[User.MAXIMUM_AGE] = pd.Series([None if pd.isna(one) else int(one) for one in limits], dtype=object)
    accounts[User.EXCLUDED_GENRES] = [tuple(genres) for genres in chosen[User.EXCLUDED_GENRES]]
    return Panel(
        kind="observed",
        accounts=accounts,
        film_ids=tuple(view.stored.film_ids),
        histories=_of(before, present),
        heldout=_of(later.take(later.positive), present),
        history_of=np.arange(len(present)),
        cluster=np.arange(len(present)),
        left_out={NO_HISTORY: len(users) - len(present)},
    )


def _of(acts: Acts, users: np.ndarray) -> Acts:
    """Keep the acts of some users, numbered by their place among them and ordered so."""
    kept = acts.take(np.isin(acts.users, users))
    kept = replace_users(kept, np.searchsorted(users, kept.users))
    return kept.take(np.argsort(kept.users, kind="stable"))
