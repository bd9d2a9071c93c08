"""Personas share what must be shared, differ in what is swapped, and are dealt out evenly."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from audit.groups import ORIGINS, name_origin
from audit.panel import COLUMNS, NAME, PERSONA, TASTE, Panel, user_groups
from audit.personas import AGES, GENDERS, build_panel
from audit.plan import AGE_BAND, CROSS, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION, USER_AXES
from recommender.acts import Acts
from recommender.catalogue import Catalogue
from recommender.rules import Request
from recommender.view import View
from tests.audit.conftest import plan_of
from tests.recommender import world
from tests.recommender.conftest import Workspace
from workspace.errors import InvalidValueError, StateError

ATTRIBUTES = [NAME_ORIGIN, GENDER, AGE_BAND, REGION, PREMIUM]


@pytest.fixture(scope="module")
def panel(small_world: Workspace, small_view: View) -> Panel:
    return build_panel(plan_of(small_world), small_view)


def test_every_taste_is_given_to_every_combination(panel: Panel) -> None:
    combinations = set(product(ORIGINS, GENDERS, AGES, world.REGIONS))
    assert len(panel) == 6 * len(combinations) == 6 * 10 * 2 * 4 * 3
    for _, own in panel.accounts.groupby(TASTE):
        assert set(own[[NAME_ORIGIN, GENDER, AGE_BAND, REGION]].itertuples(index=False, name=None)) == combinations
    assert panel.accounts[PERSONA].is_unique
    assert list(panel.accounts.columns) == list(COLUMNS)
    assert not panel.accounts[PREMIUM].any()
    assert (panel.accounts[MARKET] == panel.accounts[REGION].map(world.REGIONS)).all()


def test_personas_of_a_taste_share_one_history(panel: Panel) -> None:
    assert panel.history_of.tolist() == panel.accounts[TASTE].tolist() == panel.cluster.tolist()
    assert panel.n_histories == 6
    assert np.bincount(panel.histories.users).min() > 0
    assert np.bincount(panel.heldout.users).min() > 0


def test_histories_are_lawful_for_everybody(panel: Panel, small_view: View) -> None:
    for region in world.REGIONS:
        allowed = small_view.rules.decide(Request(on=world.TODAY, region=region)).allowed
        assert allowed[panel.histories.films].all()
        assert allowed[panel.heldout.films].all()


def test_a_name_says_its_origin_and_stays_when_age_or_place_is_swapped(panel: Panel) -> None:
    names = panel.accounts.groupby([TASTE, NAME_ORIGIN, GENDER])[NAME].agg(set)
    assert (names.map(len) == 1).all()
    assert panel.accounts[NAME].nunique() > 100
    for name, origin in set(panel.accounts[[NAME, NAME_ORIGIN]].itertuples(index=False, name=None)):
        assert name_origin(name) in (origin, None)


def test_matched_personas_have_histories_of_their_own(small_world: Workspace, small_view: View) -> None:
    panel = build_panel(plan_of(small_world, panel="matched", axes=(GENDER, REGION)), small_view)
    assert len(panel) == 6 * 2 * 3
    assert panel.history_of.tolist() == list(range(len(panel)))
    assert panel.cluster.tolist() == panel.accounts[TASTE].tolist()
    of_first = [tuple(panel.histories.films[panel.histories.users == code]) for code in range(6)]
    assert len(set(of_first)) == 6


@pytest.mark.parametrize("personas", [200, 500, 1_300])
def test_thinning_keeps_values_even_and_every_swap_in_pairs(
    small_world: Workspace, small_view: View, personas: int
) -> None:
    plan = plan_of(small_world, axes=USER_AXES, personas=personas, tastes=6)
    panel = build_panel(plan, small_view)
    assert personas / 3 < len(panel) <= personas
    for axis in ATTRIBUTES:
        counts = panel.accounts[axis].value_counts()
        per_taste = panel.accounts.groupby(TASTE)[axis].nunique()
        assert per_taste.min() >= 2, "nothing to swap with"
        # Dealt from whole packs, no value is ahead of another by more than one hand.
        assert counts.max() - counts.min() <= len(panel) // 6
        others = [TASTE, *(name for name in ATTRIBUTES if name != axis)]
        assert (panel.accounts.groupby(others)[axis].nunique() == per_taste.iloc[0]).all()


def test_too_few_personas_for_a_swap_are_refused(small_world: Workspace, small_view: View) -> None:
    plan = plan_of(small_world, axes=USER_AXES, personas=100)
    with pytest.raises(InvalidValueError, match=r"personas == 100, must be >= 192"):
        build_panel(plan, small_view)


def test_attributes_that_are_not_asked_for_stay_as_they_are(small_world: Workspace, small_view: View) -> None:
    panel = build_panel(plan_of(small_world, axes=(MARKET,)), small_view)
    assert len(panel) == 6 * 3
    for axis in (NAME_ORIGIN, GENDER, AGE_BAND, PREMIUM):
        assert len(set(panel.accounts[axis])) == 1
    alone = build_panel(plan_of(small_world, axes=(GENDER,)), small_view)
    assert alone.accounts[REGION].unique().tolist() == ["SE"]  # as many users as DE has, one more than US, and first


def test_the_same_plan_gives_the_same_panel_and_another_seed_another(small_world: Workspace, small_view: View) -> None:
    plan = plan_of(small_world, axes=(GENDER,))
    first = build_panel(plan, small_view)
    assert build_panel(plan, small_view).panel_hash == first.panel_hash
    assert build_panel(replace(plan, seed=1), small_view).panel_hash != first.panel_hash
    other = first.accounts.copy()
    other.loc[3, NAME] = "Somebody Else"
    assert replace(first, accounts=other).panel_hash != first.panel_hash


def test_by_account_copies_each_history_to_its_holders() -> None:
    acts = Acts(
        users=np.array([1, 0, 1]),
        films=np.array([7, 5, 9]),
        likes=np.array([0.1, 0.2, 0.3]),
        watched=np.ones(3, np.bool_),
        positive=np.ones(3, np.bool_),
        days=np.zeros(3),
    )
    accounts = pd.DataFrame([["x"] * len(COLUMNS)] * 3, columns=list(COLUMNS))
    panel = Panel(
        kind="personas", accounts=accounts, film_ids=("a",), histories=acts, heldout=Acts.none(),
        history_of=np.array([1, 0, 1]), cluster=np.array([1, 0, 1]), left_out={},
    )  # fmt: skip
    every = panel.by_account(acts)
    assert every.users.tolist() == [0, 0, 1, 2, 2]
    assert every.films.tolist() == [7, 9, 5, 7, 9]
    assert every.likes.tolist() == [0.1, 0.3, 0.2, 0.1, 0.3]
    some = panel.by_account(acts, np.array([2, 1]))
    assert some.users.tolist() == [0, 0, 1]
    assert some.films.tolist() == [7, 9, 5]


def test_user_groups_by_axis_and_intersection(panel: Panel) -> None:
    codes, names = user_groups(panel, REGION)
    assert names == ("DE", "SE", "US")
    assert np.array(names)[codes].tolist() == panel.accounts[REGION].tolist()
    codes, names = user_groups(panel, f"{GENDER}{CROSS}{REGION}")
    assert len(names) == 6
    assert names[codes[0]] == f"{panel.accounts[GENDER][0]}{CROSS}{panel.accounts[REGION][0]}"
    assert user_groups(panel, PREMIUM)[1] == ("free",)


@pytest.mark.parametrize("axis", ["colour", f"{GENDER}{CROSS}colour", ""])
def test_user_groups_refuse_an_axis_nobody_knows(panel: Panel, axis: str) -> None:
    with pytest.raises(InvalidValueError, match="must be one of name_origin, gender"):
        user_groups(panel, axis)


def test_a_catalogue_without_users_has_no_region(small_world: Workspace, small_view: View) -> None:
    known = small_world.catalogue
    nobody = Catalogue(
        snapshot_id=known.snapshot_id, films=known.films, users=known.users.iloc[:0],
        interactions=known.interactions.iloc[:0], quarantine=known.quarantine, provenance=known.provenance, manifest={},
    )  # fmt: skip
    with pytest.raises(StateError, match="the catalogue has no user"):
        build_panel(plan_of(small_world), View(small_view.index, small_view.stored, nobody))
