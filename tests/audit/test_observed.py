"""Observed users are split by the days held back, and nothing else is known of them."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from audit.observed import NO_HISTORY
from audit.panel import Panel, user_groups
from audit.personas import build_panel
from audit.plan import MARKET, PREMIUM, REGION
from recommender.acts import POSITIVE_RATING, POSITIVE_SHARE
from recommender.view import View
from tests.audit.conftest import plan_of
from tests.recommender import world
from tests.recommender.conftest import Workspace
from workspace.columns import Interaction, User
from workspace.errors import InvalidValueError, NotEstimableError

ON = dt.date(2021, 6, 30)
HELD = 200


@pytest.fixture(scope="module")
def panel(small_world: Workspace, small_view: View) -> Panel:
    plan = plan_of(small_world, panel="observed", axes=(REGION, MARKET, PREMIUM), on=ON, holdout_days=HELD)
    return build_panel(plan, small_view)


def test_acts_of_the_days_held_back_are_kept_apart(panel: Panel, small_world: Workspace) -> None:
    acts = small_world.catalogue.interactions
    day = acts[Interaction.TS].dt.tz_convert(None).dt.floor("D")
    last = pd.Timestamp(ON)
    first_held = last - pd.Timedelta(days=HELD - 1)
    liked = ((acts[Interaction.KIND] == "rated") & (acts[Interaction.VALUE] >= POSITIVE_RATING)) | (
        (acts[Interaction.KIND] == "watched") & (acts[Interaction.VALUE] >= POSITIVE_SHARE)
    )
    before = acts.loc[day < first_held]
    held = acts.loc[(day >= first_held) & (day <= last) & liked]
    held = held.loc[held[Interaction.USER].isin(before[Interaction.USER])]
    users = panel.accounts["persona_id"].to_numpy()
    films = np.array(panel.film_ids)

    def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
        return sorted(frame[[Interaction.USER, Interaction.FILM]].itertuples(index=False, name=None))

    assert len(held) > 30
    for ours, theirs in ((panel.histories, before), (panel.heldout, held)):
        assert sorted(zip(users[ours.users].tolist(), films[ours.films].tolist(), strict=True)) == pairs(theirs)


def test_users_without_a_history_are_left_out_and_counted(panel: Panel) -> None:
    assert not set(world.NEWCOMERS) & set(panel.accounts["persona_id"])
    assert panel.left_out == {NO_HISTORY: world.USERS - len(panel)}
    assert panel.left_out[NO_HISTORY] >= len(world.NEWCOMERS)
    assert np.bincount(panel.histories.users, minlength=len(panel)).min() > 0


def test_only_region_market_and_premium_are_known(panel: Panel, small_world: Workspace) -> None:
    users = small_world.catalogue.users.set_index(User.ID).loc[panel.accounts["persona_id"]]
    for axis in (REGION, MARKET):
        codes, names = user_groups(panel, axis)
        assert np.array(names)[codes].tolist() == users[axis].tolist()
    for axis in ("name_origin", "gender", "age_band"):
        with pytest.raises(InvalidValueError, match="no account of a panel of kind observed has a"):
            user_groups(panel, axis)
    limits = [None if pd.isna(age) else int(age) for age in users[User.MAXIMUM_AGE]]
    assert panel.accounts[User.MAXIMUM_AGE].tolist() == limits
    assert 12 in limits
    assert panel.accounts[User.EXCLUDED_GENRES].map(list).tolist() == users[User.EXCLUDED_GENRES].map(list).tolist()


def test_fewer_users_than_may_be_reported_on_are_refused(small_world: Workspace, small_view: View) -> None:
    early = plan_of(small_world, panel="observed", axes=(REGION,), on=dt.date(2018, 1, 10), holdout_days=8)
    with pytest.raises(NotEstimableError, match="users have a history before 2018-01-03"):
        build_panel(early, small_view)
