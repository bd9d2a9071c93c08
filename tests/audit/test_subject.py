"""A subject gives the lists the recommender would give, to the bit, whoever asks in whatever order."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from audit.panel import Panel
from audit.personas import build_panel
from audit.plan import GENDER, NAME_ORIGIN, PREMIUM, REGION, USER_AXES
from audit.subject import Subject, UserRow, intake
from recommender.acts import Acts
from recommender.batch import recommend_all
from recommender.rules import Request
from recommender.view import View
from tests.audit.conftest import plan_of
from tests.recommender import world
from tests.recommender.conftest import Workspace
from workspace.columns import Film, User
from workspace.errors import IntegrityError, InvalidValueError, SchemaError, UnknownError

LATER = dt.date(2023, 1, 15)
"""So late that nothing is held back: histories are whole."""


@pytest.fixture(scope="module")
def subject(small_view: View) -> Subject:
    return Subject(small_view, world.TODAY)


@pytest.fixture(scope="module")
def panel(small_world: Workspace, small_view: View) -> Panel:
    return build_panel(plan_of(small_world, axes=USER_AXES, personas=600), small_view)


@pytest.fixture(scope="module")
def observed(small_world: Workspace, small_view: View) -> Panel:
    plan = plan_of(small_world, panel="observed", axes=(REGION,), on=LATER, holdout_days=28)
    return build_panel(plan, small_view)


def test_slates_are_those_of_recommend_all(observed: Panel, small_view: View) -> None:
    rows, scores = Subject(small_view, LATER).slates(observed, 7)
    expected = recommend_all(small_view, k=7, on=LATER)
    expected = expected.loc[expected[User.ID].isin(observed.accounts["persona_id"])]
    assert len(observed) == world.USERS - len(world.NEWCOMERS)
    for place, user in enumerate(observed.accounts["persona_id"]):
        own = expected.loc[expected[User.ID] == user]
        assert [observed.film_ids[row] for row in rows[place]] == own[Film.ID].tolist()
        assert scores[place].tolist() == own["score"].tolist()


def test_terms_sum_to_the_score_and_are_those_of_the_explanation(
    observed: Panel, small_world: Workspace, small_view: View
) -> None:
    subject = Subject(small_view, LATER)
    rows, scores = subject.slates(observed, 3)
    codes = np.repeat(np.arange(len(observed)), 3)
    terms = subject.terms(observed, codes, rows.ravel())
    assert np.abs(sum(terms.values()) - scores.ravel()).max() < 1e-6
    engine = small_world.open()
    for pair in range(0, len(codes), 10):
        user = observed.accounts["persona_id"][codes[pair]]
        told = engine.explain(user, observed.film_ids[rows.ravel()[pair]], on=LATER)
        for block, value in told.blocks.items():
            assert terms[block][pair] == pytest.approx(value, abs=1e-5), block
        features = {
            (term.feature, round(term.value, 4)) for term in told.features if term.block == "people" and term.value
        }
        ours = subject.feature_terms(observed, int(codes[pair]), int(rows.ravel()[pair]), "people")
        if features:
            assert {(label, round(value, 4)) for label, value in ours if value} == features


def test_feature_terms_sum_to_their_block(observed: Panel, small_view: View) -> None:
    subject = Subject(small_view, LATER)
    rows, _ = subject.slates(observed, 1)
    for code in range(0, len(observed), 7):
        film = int(rows[code, 0])
        terms = subject.terms(observed, np.array([code]), np.array([film]))
        for block in subject.layout:
            features = subject.feature_terms(observed, code, film, block)
            assert sum(value for _, value in features) == pytest.approx(terms[block][0], abs=1e-6)
            sizes = [abs(value) for _, value in features]
            assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InvalidValueError, match="block == 'aura'"):
        subject.feature_terms(observed, 0, 0, "aura")


def test_order_and_chunks_change_no_bit(subject: Subject, panel: Panel) -> None:
    rows, scores = subject.slates(panel, 5)
    vectors = subject.user_vectors(panel)
    order = np.random.default_rng(3).permutation(len(panel))
    turned = replace(
        panel,
        accounts=panel.accounts.iloc[order].reset_index(drop=True),
        history_of=panel.history_of[order],
        cluster=panel.cluster[order],
    )
    for chunk in (1, 7, 4_096):
        again, values = subject.slates(turned, 5, chunk=chunk)
        assert np.array_equal(again, rows[order])
        assert values.tobytes() == scores[order].tobytes()
    assert subject.user_vectors(turned).tobytes() == vectors[order].tobytes()
    # Alone, and with the acts of all histories shuffled.
    some = np.array([5])
    acts = panel.histories.take(np.random.default_rng(4).permutation(len(panel.histories)))
    alone = replace(
        panel, accounts=panel.accounts.iloc[some].reset_index(drop=True), histories=acts,
        history_of=panel.history_of[some], cluster=panel.cluster[some],
    )  # fmt: skip
    again, values = subject.slates(alone, 5)
    assert np.array_equal(again, rows[some])
    assert values.tobytes() == scores[some].tobytes()


def test_lists_differ_by_place_and_never_by_name(subject: Subject, panel: Panel) -> None:
    rows, scores = subject.slates(panel, 5)
    accounts = panel.accounts
    frame = pd.DataFrame(
        {
            "list": [tuple(own) for own in rows.tolist()],
            "bytes": [own.tobytes() for own in scores],
            "history": panel.history_of,
            REGION: accounts[REGION],
        }
    )
    assert (frame.groupby(["history", REGION])[["list", "bytes"]].agg(lambda own: len(set(own))) == 1).all().all()
    assert frame.groupby("history")["list"].nunique().max() > 1


def test_every_account_passes_the_intake(small_view: View, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []

    def watched(account: dict[str, object], segments: tuple[str, ...]) -> UserRow:
        passed.append(str(account["name"]))
        return intake(account, segments)

    monkeypatch.setattr("audit.subject.intake", watched)
    subject = Subject(small_view, world.TODAY)
    cases = subject.cases(panel)
    assert passed == panel.accounts["name"].tolist()
    expected = panel.accounts.groupby(["taste", REGION, "market", PREMIUM]).ngroup()
    assert pd.DataFrame({"ours": cases, "theirs": expected}).drop_duplicates().shape[0] == expected.nunique()


def test_segments_of_the_manifest_reach_the_user_row(small_view: View, panel: Panel) -> None:
    plain, joined = Subject(small_view, world.TODAY), Subject(small_view, world.TODAY)
    joined.segments = ("market", "name_origin")
    assert len(np.unique(joined.cases(panel))) > 2 * len(np.unique(plain.cases(panel)))
    # The version has no mean of "market|origin": everybody's mean stands in, for all origins alike.
    vectors = joined.user_vectors(panel)
    first = panel.accounts["taste"] == 0
    assert len(np.unique(vectors[first], axis=0)) == 1


def test_intake_leaves_out_what_is_not_known() -> None:
    account = {"region": "SE", "market": "nordic", "premium": True, "name_origin": "", "gender": "woman",
               User.MAXIMUM_AGE: 12, User.EXCLUDED_GENRES: ["Horror"]}  # fmt: skip
    assert intake(account, ["market", "name_origin"]) == UserRow("SE", "nordic", True, 12, ("Horror",))
    assert intake(account, ["gender", "market"]).market == "woman|nordic"


@pytest.mark.parametrize("segments", ["market", [], ["market", "shoe_size"], 5])
def test_segments_nobody_knows_are_refused(small_view: View, segments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(small_view.index.manifest.extra, "segments", segments)
    with pytest.raises(SchemaError, match="segments of version"):
        Subject(small_view, world.TODAY)


def test_a_panel_in_the_rows_of_another_version_asks_the_same(subject: Subject, panel: Panel) -> None:
    rows, scores = subject.slates(panel, 5)
    turned = np.arange(len(panel.film_ids))[::-1]

    def moved(acts: Acts) -> Acts:
        return Acts(
            users=acts.users, films=turned[acts.films], likes=acts.likes, watched=acts.watched,
            positive=acts.positive, days=acts.days,
        )  # fmt: skip

    other = replace(panel, film_ids=panel.film_ids[::-1], histories=moved(panel.histories))
    again, values = subject.slates(other, 5)
    assert np.array_equal(again, rows)
    assert values.tobytes() == scores.tobytes()
    less = replace(panel, film_ids=tuple("gone" if place < 90 else film for place, film in enumerate(panel.film_ids)))
    assert len(subject._translated(less)) == int((panel.histories.films >= 90).sum())


def test_short_slates_say_what_is_missing(subject: Subject, panel: Panel, small_view: View) -> None:
    rows, scores = subject.slates(panel, 200)
    accounts, histories = panel.accounts, panel.histories
    for code in range(0, len(panel), 97):
        allowed = small_view.rules.decide(Request(on=world.TODAY, region=accounts[REGION][code])).allowed.copy()
        allowed[histories.films[histories.users == panel.history_of[code]]] = False
        assert (rows[code] >= 0).sum() == allowed.sum()
        assert set(rows[code][rows[code] >= 0].tolist()) == set(np.flatnonzero(allowed).tolist())
        assert np.isnan(scores[code][rows[code] < 0]).all()
        assert np.array_equal(subject.allowed(panel, np.array([code]))[0], allowed)


@pytest.mark.parametrize("k", [0, 201])
def test_a_bad_k_is_refused(subject: Subject, panel: Panel, k: int) -> None:
    with pytest.raises(InvalidValueError, match="k =="):
        subject.slates(panel, k)


def test_progress_is_told(subject: Subject, panel: Panel) -> None:
    told: list[tuple[str, int, int]] = []
    subject.slates(panel, 1, lambda *step: told.append(step), chunk=10)
    cases = len(np.unique(subject.cases(panel)))
    assert told[-1] == ("slates", cases, cases)
    assert len(told) == -(-cases // 10)


def test_what_a_plan_names_and_is_gone_is_refused_with_what_there_is(small_world: Workspace) -> None:
    settings, snapshot = small_world.settings, small_world.catalogue.snapshot_id
    with pytest.raises(UnknownError, match=rf"index_version == 'v0'.*{small_world.version}.*recommendr index build"):
        Subject.open(settings, "v0", snapshot, world.TODAY)
    with pytest.raises(UnknownError, match=rf"snapshot_id == 'c0'.*known are {snapshot}"):
        Subject.open(settings, small_world.version, "c0", world.TODAY)


def test_a_damaged_version_is_refused(fresh_small: Workspace) -> None:
    manifest = fresh_small.paths.indexes / fresh_small.version / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": ', b'"rows": 1'))
    with pytest.raises(IntegrityError):
        Subject.open(fresh_small.settings, fresh_small.version, fresh_small.catalogue.snapshot_id, world.TODAY)


def test_facts_name_what_was_audited(small_world: Workspace) -> None:
    facts = Subject.open(
        small_world.settings, small_world.version, small_world.catalogue.snapshot_id, world.TODAY
    ).facts()
    assert facts["index_version"] == small_world.version
    assert facts["snapshot_id"] == facts["indexed_snapshot_id"] == small_world.catalogue.snapshot_id
    assert facts["segments"] == ["market"]
    assert facts["films"] == world.FILMS
    assert facts["weights"]["quality"] == 0.5
    assert set(facts["weights"]) == set(facts["blocks"])
    assert len(facts["manifest_checksum"]) == 64
    assert (NAME_ORIGIN in str(facts), GENDER in str(facts)) == (False, False)
