from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rfc8785

from audit.causes import Cause, trace
from audit.panel import Panel
from audit.personas import build_panel
from audit.plan import CROSS, GENDER, MARKET, NAME_ORIGIN, ORIGIN_COUNTRY, PREMIUM, REGION, AuditPlan
from audit.results import Findings, Verdict
from audit.runs import STAGES, refuse_unplanned, run_audit
from audit.runs.measuring import check_histories, hits_of, measure, relevance
from audit.runs.running import rounded
from audit.runs.users import paired
from audit.subject import SEGMENTS, Subject
from recommender.view import View
from tests.audit.conftest import plan_of
from tests.recommender import world
from tests.recommender.conftest import Workspace
from workspace.errors import IntegrityError, InvalidValueError, NotEstimableError, UnknownError

AXES = (NAME_ORIGIN, GENDER, REGION)


def _plan(workspace: Workspace, **chosen: object) -> AuditPlan:
    usual: dict[str, object] = {"axes": AXES, "film_axes": (ORIGIN_COUNTRY,), "tastes": 8, "family": FAMILY}
    return plan_of(workspace, **{**usual, **chosen})


FAMILY = tuple((axis, measure) for axis in (NAME_ORIGIN, GENDER) for measure in ("reach", "exposure", "precision_at_k"))


@pytest.fixture(scope="module")
def subject(small_view: View) -> Subject:
    return Subject(small_view, world.TODAY)


@pytest.fixture(scope="module")
def clean(small_world: Workspace, subject: Subject) -> Findings:
    return run_audit(_plan(small_world), subject)


@pytest.fixture(scope="module")
def leaking(small_world: Workspace) -> Subject:
    """The same version, whose market means differ by the origin of a name in the people block."""
    view = View.open(small_world.paths, small_world.version, small_world.catalogue)
    people = view.matrix.layout.columns("people")
    means = dict(view.matrix.market_means)
    for market, mean in view.matrix.market_means.items():
        moved = mean.copy()
        moved[people] -= 3 * np.asarray(view.index.vectors)[7, people]
        means[f"{market}|slavic"] = moved
        # Other origins have the market's own mean: an unknown key would fall back to everybody's.
        for origin in ("anglophone", "african", "african_american", "western_european", "latin", "central_asian",
                       "east_asian", "south_asian", "middle_eastern"):  # fmt: skip
            means[f"{market}|{origin}"] = mean
    view.matrix = replace(view.matrix, market_means=means)
    weights = {**view.configuration.weights, "people": 4.0}
    view.configuration = replace(view.configuration, weights=weights)
    manifest = view.index.manifest
    view.index.manifest = replace(manifest, extra={**manifest.extra, SEGMENTS: [MARKET, NAME_ORIGIN]})
    return Subject(view, world.TODAY)


@pytest.fixture(scope="module")
def leaked(small_world: Workspace, leaking: Subject) -> Findings:
    return run_audit(_plan(small_world, axes=(NAME_ORIGIN, GENDER)), leaking)


def test_clean_version_passes_every_swap_and_shows_no_disparity(clean: Findings) -> None:
    assert clean.disparities == ()
    assert not clean.found
    assert [(one.attribute, one.passed) for one in clean.swaps] == [(axis, True) for axis in AXES]
    assert {one.differing for one in clean.swaps[:2]} == {0}
    assert {leak.auc for leak in clean.leaks if leak.axis != REGION} == {0.5}


def test_ratios_of_identical_lists_are_one_exactly(clean: Findings) -> None:
    ratios = {one.ratio for one in clean.figures if one.axis == GENDER and one.side == "user"} - {None}

    assert ratios == {1.0}


def test_two_runs_give_the_same_bytes(small_world: Workspace, small_view: View, clean: Findings) -> None:
    again = run_audit(_plan(small_world), Subject(small_view, world.TODAY))

    assert rfc8785.dumps(again.to_dict()) == rfc8785.dumps(clean.to_dict())


def test_findings_survive_their_own_json(clean: Findings) -> None:
    assert Findings.from_dict(clean.to_dict()).to_dict() == clean.to_dict()


def test_keys_are_unique_and_every_figure_has_words(clean: Findings) -> None:
    keys = [one.key for one in clean.figures]

    assert len(keys) == len(set(keys))
    assert all(one.words.endswith(".") for one in clean.figures)
    assert all(one.reason for one in clean.figures if one.verdict is None)
    assert all(one.method for one in clean.figures if one.value is not None)


def test_region_outside_the_family_gets_no_verdict(clean: Findings) -> None:
    assert {one.verdict for one in clean.figures if one.axis == REGION} == {None}
    assert any("without a verdict: region" in limit for limit in clean.limits)


def test_film_axis_nobody_knows_is_counted_as_unknown(small_world: Workspace, subject: Subject) -> None:
    found = run_audit(_plan(small_world, axes=(GENDER,), film_axes=("cast_origin",), family=()), subject)

    assert [(one.group, one.share) for one in found.counts if one.side == "provider"] == [("unknown", 1.0)]
    assert any("have no known origin of the cast" in limit for limit in found.limits)


def test_planted_leak_is_found_and_placed(leaked: Findings) -> None:
    name, gender = leaked.swaps

    assert not name.passed
    assert [block for block, _ in name.leaking_blocks] == ["people"]
    assert gender.passed
    told = {leak.block for leak in leaked.leaks if leak.auc is not None and leak.auc > 0.5}
    assert told == {"people", "all"}
    assert leaked.found


def test_cause_of_the_planted_leak_is_its_block_and_film(leaked: Findings, leaking: Subject) -> None:
    cause = trace(leaked, _row_of(leaked), leaking)

    assert cause.blocks[0][0] == "people"
    assert [block for block, _ in cause.blocks] == ["people"]
    assert sum(value for _, value in cause.blocks) > 0
    named = sum(value for block, _, value in cause.features if block == "people")
    assert named == pytest.approx(cause.blocks[0][1], abs=1e-4)
    # What the slavic mean lacks is the people of film 7: the films that rise share them.
    assert leaking.film_ids[7] in {film for film, *_ in cause.films}
    assert cause.replay["again"]
    assert not cause.replay["identical"]
    assert {group for _, group, _, _ in cause.personas} == {"slavic", "african"}


def test_cause_differences_are_those_of_the_lists(leaked: Findings, leaking: Subject) -> None:
    cause = trace(leaked, _row_of(leaked), leaking, most=200)

    assert sum(difference for *_, difference in cause.films) == pytest.approx(0, abs=1e-6)
    assert sum(here for _, _, here, _, _ in cause.films) == pytest.approx(1, abs=0.2)


def _row_of(findings: Findings) -> str:
    return next(
        one.key for one in findings.figures if one.group == "slavic" and one.measure == "calibration_kl" and one.value
    )


def test_cause_of_a_provider_row_has_films_of_both_sides(clean: Findings, subject: Subject) -> None:
    row = next(one for one in clean.figures if one.side == "provider" and one.measure == "exposure" and one.ratio)
    cause: Cause = trace(clean, row.key, subject)

    assert cause.films
    assert cause.blocks
    assert cause.personas == ()


def test_cause_refuses_what_compares_nobody(clean: Findings, subject: Subject) -> None:
    reference = next(one for one in clean.figures if one.group == one.reference)

    with pytest.raises(InvalidValueError, match="must compare a group with a reference"):
        trace(clean, reference.key, subject)
    with pytest.raises(UnknownError, match="must be a row"):
        trace(clean, "user/none", subject)
    with pytest.raises(IntegrityError, match="another panel"):
        row = next(one for one in clean.figures if one.ratio is not None and one.side == "user")
        trace(replace(clean, panel={**clean.panel, "panel_hash": "0"}), row.key, subject)


def test_matched_panel_has_no_swaps_and_clusters_by_taste(small_world: Workspace, subject: Subject) -> None:
    found = run_audit(_plan(small_world, axes=(GENDER,), panel="matched", family=()), subject)

    assert found.swaps == ()
    assert any("invariance under a swap was not tested" in limit for limit in found.limits)
    reach = [one for one in found.figures if one.measure == "hit_rate" and one.ratio is not None]
    assert all("clusters" in one.method or "common units" in one.method for one in reach)


def test_observed_panel_withholds_small_groups(small_world: Workspace, subject: Subject) -> None:
    found = run_audit(
        _plan(small_world, axes=(REGION, PREMIUM), panel="observed", family=(), k_anonymity=20, measures=("hit_rate",)),
        subject,
    )
    counts = {(one.axis, one.group): one.n for one in found.counts if one.side == "user"}

    assert found.withheld > 0
    assert not [n for n in counts.values() if n is not None and 0 < n < 20]
    hidden = [group for (axis, group), n in counts.items() if axis == REGION and n is None]
    # One withheld region alone could be had from the total: there are none or several.
    assert len(hidden) != 1 or found.panel["users"] is None
    rows = [one for one in found.figures if one.axis == REGION and one.group in hidden]
    assert all(one.value is None and one.n is None for one in rows)
    assert any("withheld" in limit for limit in found.limits)


def test_market_index_is_held_against_the_general_one(small_world: Workspace, subject: Subject) -> None:
    view = View.open(small_world.paths, small_world.reranked, small_world.catalogue)
    own = Subject(view, world.TODAY)
    plan = _plan(small_world, axes=(GENDER, MARKET), family=(), market_version=small_world.reranked)
    found = run_audit(plan, subject, market_subject=own)
    index = [one for one in found.pooled if one.axis == "index"]

    assert index
    assert {one.group for one in index} == {small_world.reranked}
    # Both versions rank by the same weights before the re-rank: their lists are the same.
    assert {one.ratio for one in index} <= {1.0, None}
    assert {one.axis for one in found.pooled} == {GENDER, "index"}


def test_intersection_has_rows_of_its_own(small_world: Workspace, subject: Subject) -> None:
    axis = f"{GENDER}{CROSS}premium"
    found = run_audit(_plan(small_world, axes=(axis,), family=(), measures=("hit_rate",)), subject)

    groups = {one.group for one in found.counts if one.axis == axis}
    assert groups == {f"{gender}{CROSS}{paid}" for gender in ("woman", "man") for paid in ("free", "premium")}


def test_progress_tells_every_stage(small_world: Workspace, subject: Subject) -> None:
    told: list[str] = []
    run_audit(
        _plan(small_world, axes=(GENDER,), family=(), tastes=3),
        subject,
        progress=lambda stage, done, total: told.append(stage) if done <= total else None,
    )

    assert list(dict.fromkeys(told)) == [*STAGES, "done"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"axis": "age_band"}, "age_band"),
        ({"measure": "novelty"}, "novelty"),
        ({"film_axis": "era"}, "era"),
        ({"index_version": "v0"}, "v0"),
        ({"panel": "observed"}, "observed"),
        ({"mood": "good"}, "no part of a plan"),
    ],
)
def test_run_refuses_what_is_not_planned(small_world: Workspace, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        refuse_unplanned(_plan(small_world), **asked)


def test_run_takes_what_is_planned(small_world: Workspace) -> None:
    refuse_unplanned(_plan(small_world), axis=GENDER, measure="reach", panel="personas", k=5)


def test_run_refuses_another_subject(small_world: Workspace, subject: Subject) -> None:
    with pytest.raises(InvalidValueError, match="index_version"):
        run_audit(_plan(small_world, index_version="v000000000000"), subject)
    with pytest.raises(InvalidValueError, match="market_version"):
        run_audit(_plan(small_world, market_version="v000000000000"), subject)


@pytest.mark.parametrize("reference", ["martian", "unknown"])
def test_unknown_reference_is_refused_by_name(small_world: Workspace, subject: Subject, reference: str) -> None:
    with pytest.raises(UnknownError, match=reference):
        run_audit(_plan(small_world, references={GENDER: reference}), subject)


def test_persona_without_history_is_refused_by_name(small_world: Workspace, small_view: View) -> None:
    panel = _panel(small_world, small_view)
    emptied = replace(panel, histories=panel.histories.take(panel.histories.users != 1))
    first = panel.accounts["persona_id"].to_numpy()[panel.history_of == 1][0]

    with pytest.raises(NotEstimableError, match=str(first)):
        check_histories(emptied)


def test_nothing_kept_back_is_not_estimable_and_never_zero(
    small_world: Workspace, small_view: View, subject: Subject
) -> None:
    panel = _panel(small_world, small_view)
    panel = replace(panel, heldout=panel.heldout.take(np.empty(0, np.int64)))
    measured = measure(
        _plan(small_world, axes=(GENDER,), family=()),
        panel,
        small_view.films,
        small_view.alive,
        subject.slates(panel, 5),
    )
    hit = next(column for column in measured.columns if column.measure == "hit_rate")

    assert np.isnan(hit.by_user).all()
    assert np.isnan(paired(measured, measured.users[GENDER]).groups[:, :, 0]).all()


def test_hits_by_hand(small_world: Workspace, small_view: View) -> None:
    panel = _panel(small_world, small_view)
    kept = set(panel.heldout.films[panel.heldout.users == 0].tolist())
    right, wrong = min(kept), min(set(range(50)) - kept)
    rows = np.full((len(panel), 3), -1)
    rows[0] = [wrong, right, -1]

    assert hits_of(panel, rows, len(panel.film_ids))[0].tolist() == [0.0, 1.0, 0.0]
    shared = np.bincount(panel.history_of)[0]
    assert relevance(panel, len(panel.film_ids))[right] >= shared


def _panel(workspace: Workspace, view: View) -> Panel:
    return build_panel(_plan(workspace, axes=(GENDER,), family=()), view)


def test_rounding_cuts_digits_and_open_intervals(clean: Findings) -> None:
    odd = replace(clean.figures[0], value=1 / 3, interval=(0.1, float("inf")), p=float("nan"), verdict=Verdict.PARITY)
    cut = rounded(replace(clean, figures=(odd,))).figures[0]

    assert (cut.value, cut.interval, cut.p, cut.verdict) == (0.3333333333, None, None, Verdict.PARITY)
