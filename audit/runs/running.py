"""The run: a plan and a subject in, findings out, the same to the last digit whenever it is run again."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from audit.judging import Comparison, Judgement, judge
from audit.panel import PERSONA, Panel
from audit.personas import build_panel
from audit.plan import CROSS, AuditPlan
from audit.results import Figure, Findings, GroupCount, Swap
from audit.runs.anywhere import any_differences
from audit.runs.films import FilmRow, compare_films
from audit.runs.leaks import leak_table
from audit.runs.limits import limits
from audit.runs.markets import pool_index, pool_markets
from audit.runs.measuring import OBSERVED, SHARED, Measured, measure
from audit.runs.popularity import popularity_rows
from audit.runs.swaps import Lists, swapped
from audit.runs.users import Row, compare_users, reference_rows
from audit.runs.withholding import Withheld, withhold
from audit.runs.wording import sentence
from audit.subject import Subject
from recommender.acts import Acts
from workspace.errors import InvalidValueError

Progress = Callable[[str, int, int], None]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

DIGITS: Final = 10
"""Significant digits that leave a run: more would be the processor's, not the panel's."""
UNBOUNDED: Final = 1e9
NOT_KEPT: Final = "not estimable: no film was kept back of anybody in the group"
_EPOCH: Final = dt.date(1970, 1, 1)
_PAIR: Final = 2
STAGES: Final = ("panel", "slates", "measures", "comparisons", "films", "swaps", "leaks", "markets")


def run_audit(
    plan: AuditPlan, subject: Subject, *, market_subject: Subject | None = None, progress: Progress | None = None
) -> Findings:
    """Run an audit.

    Args:
        plan: What was declared.
        subject: The version under audit, opened as the plan says.
        market_subject: The version of one market that the plan names, if it names one.
        progress: Told the stage, what is done of it and all there is.

    Returns:
        The findings; twice the same for the same plan and subject.

    Raises:
        InvalidValueError: When the subject is not what the plan says.
        UnknownError: When the plan names a group nobody belongs to.
        NotEstimableError: When a history is empty, or too few users are there to report on.
    """
    check_subject(plan, subject, market_subject)
    tell = _Stages(progress)
    tell("panel")
    panel = build_panel(plan, subject.view)
    tell("slates")
    shown = subject.slates(panel, plan.k, progress)
    tell("measures")
    measured = measure(plan, panel, subject.view.films, subject.view.alive, shown)
    tell("comparisons")
    user_rows = list(compare_users(measured))
    tell("films")
    film_rows = list(compare_films(measured, subject))
    withheld = withhold(measured)
    figures = judged_figures(measured, user_rows, film_rows, withheld)
    counts = tuple(_counts(measured, withheld))
    tell("swaps")
    vectors = subject.user_vectors(panel)
    swaps = _swaps(measured, subject, vectors)
    tell("leaks")
    leaks = leak_table(
        vectors, subject.layout, measured.users.values(), measured.clusters, measured.strata, alpha=plan.alpha,
        seed=plan.seed,
    )  # fmt: skip
    tell("markets")
    pooled = (
        *pool_markets(measured, withheld),
        *(pool_index(measured, subject, market_subject) if market_subject else ()),
    )
    short = _short(measured)
    facts = subject.facts()
    findings = Findings(
        plan=plan,
        subject=facts,
        panel=_panel_facts(panel, measured, withheld),
        counts=counts,
        figures=figures,
        swaps=swaps,
        leaks=leaks,
        popularity=popularity_rows(
            measured.rows, acts_on_films(subject), subject.view.alive, measured.clusters, k=plan.k, alpha=plan.alpha
        ),
        pooled=pooled,
        limits=limits(
            plan, facts, counts, figures, swaps, short_slates=short, withheld=withheld.cells, left_out=panel.left_out
        ),
        withheld=withheld.cells,
    )
    tell("done")
    return rounded(findings)


def refuse_unplanned(plan: AuditPlan, **asked: Any) -> None:  # noqa: ANN401 - any field of a plan
    """Refuse what is not in the plan.

    Args:
        plan: The plan.
        asked: What a run is asked for: ``axis``, ``film_axis`` or ``measure``, or any field of the plan by its name,
            for example ``index_version``.

    Raises:
        InvalidValueError: Naming the first thing that is not in the plan.
    """
    several = {"axis": plan.axes, "film_axis": plan.film_axes, "measure": plan.measures}
    for name, value in asked.items():
        if name in several:
            allowed: Sequence[Any] = several[name]
        elif name in {field.name for field in dataclasses.fields(plan)}:
            allowed = (getattr(plan, name),)
        else:
            raise InvalidValueError(f"{name} == {value!r}", "is no part of a plan")
        if value not in allowed:
            raise InvalidValueError(
                f"{name} == {value!r}",
                f"the plan {plan.plan_id} declares {', '.join(map(str, allowed)) or 'none'}",
                "declare another plan: a test chosen after looking proves nothing",
            )


def judged_figures(
    measured: Measured, user_rows: Sequence[Row], film_rows: Sequence[FilmRow], withheld: Withheld
) -> tuple[Figure, ...]:
    """Judge all rows together and return them as figures, references among them.

    Args:
        measured: What was shown.
        user_rows: Comparisons of users.
        film_rows: Comparisons of films; outside the family.
        withheld: What may not be said.
    """
    hidden = [withheld.row(row.axis, row.code, row.column) for row in user_rows]
    comparisons = [
        *(None if hide else row.comparison for row, hide in zip(user_rows, hidden, strict=True)),
        *(row.comparison for row in film_rows),
    ]
    judged = judge(
        comparisons,
        in_family=[*(row.in_family for row in user_rows), *(False for _ in film_rows)],
        alpha=measured.plan.alpha,
        parity=measured.plan.parity,
    )
    figures = [
        *_references(measured, withheld),
        *(
            _user_figure(row, verdict, hide=hide)
            for row, verdict, hide in zip(user_rows, judged[: len(user_rows)], hidden, strict=True)
        ),
        *(_film_figure(row, verdict) for row, verdict in zip(film_rows, judged[len(user_rows) :], strict=True)),
    ]
    told = [dataclasses.replace(one, words=sentence(one)) for one in figures]
    # A test of all groups speaks of those withheld too, and could be differenced against the rows that are shown.
    return (*told, *(() if withheld.cells else any_differences(measured)))


def acts_on_films(subject: Subject) -> Floats:
    """Return how many acts the catalogue's users had on each film until the day of the audit, ``(n_films,)``."""
    interactions = subject.view.catalogue.interactions
    acts = Acts.of(interactions, subject.view.film_rows)
    day = (subject.on - _EPOCH).days + 1
    return np.bincount(acts.films[acts.days < day], minlength=len(subject.film_ids)).astype(np.float64)


def rounded(findings: Findings) -> Findings:
    """Return findings with every float cut to `DIGITS` significant digits; None for what is no number, or no bound."""
    cut: Findings = _cut(findings)
    return cut


def _cut(value: Any) -> Any:  # noqa: ANN401 - whatever findings hold
    if isinstance(value, float | np.floating):
        # A ratio bounded by a billion is not bounded, and canonical JSON can't hold it from 2**53 on.
        return float(f"{value:.{DIGITS}g}") if abs(float(value)) <= UNBOUNDED else None
    if isinstance(value, Mapping):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        parts = tuple(_cut(one) for one in value)
        # An interval without a bound is no interval.
        open_ended = len(parts) == _PAIR and None in parts and all(isinstance(one, float) for one in value)
        return None if open_ended else type(value)(parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | AuditPlan):
        parts_ = {field.name: _cut(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts_)
    return value


def check_subject(plan: AuditPlan, subject: Subject, market_subject: Subject | None) -> None:
    """Refuse a subject that is not what the plan says.

    Raises:
        InvalidValueError: When version, snapshot, day or the market's version are others.
    """
    refuse_unplanned(
        plan, index_version=subject.view.version, snapshot_id=subject.view.catalogue.snapshot_id, on=subject.on
    )
    given = market_subject.view.version if market_subject else ""
    if given != plan.market_version:
        refuse_unplanned(plan, market_version=given)


class _Stages:
    """Tells the stage a run is in."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def __call__(self, stage: str) -> None:
        if self._progress:
            done = STAGES.index(stage) if stage in STAGES else len(STAGES)
            self._progress(stage, done, len(STAGES))


def _swaps(measured: Measured, subject: Subject, vectors: Vectors) -> tuple[Swap, ...]:
    if measured.panel.kind != SHARED:
        return ()
    lists = Lists(
        ids=measured.panel.accounts[PERSONA].tolist(),
        film_ids=subject.film_ids,
        rows=measured.rows,
        vectors=vectors,
        take=subject.view.index.take,
        weights=subject.layout.spread(subject.weights),
        layout=subject.layout,
        allowed=lambda codes: subject.allowed(measured.panel, codes),
    )
    attributes = list(dict.fromkeys(part for axis in measured.plan.axes for part in axis.split(CROSS)))
    return swapped(measured.panel.accounts, measured.clusters, lists, attributes)


def _counts(measured: Measured, withheld: Withheld) -> Iterable[GroupCount]:
    for axis in measured.users.values():
        yield from axis.table(measured.plan.least_share, withheld.groups.get(axis.axis))
    for axis in measured.films.values():
        yield from axis.table(measured.plan.least_share)


def _references(measured: Measured, withheld: Withheld) -> Iterable[Figure]:
    for axis, column, value, span in reference_rows(measured):
        hide = withheld.row(axis, axis.reference, column)
        yield Figure(
            measure=column.measure, side="user", axis=axis.axis, group=axis.reference_name,
            reference=axis.reference_name, film_axis=column.film_axis, film_group=column.film_group,
            n=None if hide else axis.counts[axis.reference], value=None if hide else value,
            interval=None if hide else span,
            reason="withheld" if hide else ("the reference itself" if value is not None else NOT_KEPT),
            method="mean by user, interval by cluster",
        )  # fmt: skip


def _user_figure(row: Row, verdict: Judgement, *, hide: bool) -> Figure:
    axis, column, found = row.axis, row.column, row.comparison
    shared: dict[str, Any] = {
        "measure": column.measure, "side": "user", "axis": axis.axis, "group": axis.names[row.code],
        "reference": axis.reference_name, "film_axis": column.film_axis, "film_group": column.film_group,
        "in_family": row.in_family,
    }  # fmt: skip
    if hide:
        return Figure(**shared, reason="withheld")
    return Figure(
        **shared,
        n=row.n,
        n_reference=row.n_reference,
        history_share=row.history_share,
        gap=row.gap,
        gap_interval=row.gap_interval,
        **_compared(found, verdict),
    )


def _film_figure(row: FilmRow, verdict: Judgement) -> Figure:
    axis = row.axis
    parts = _compared(row.comparison, verdict)
    if row.by_users is not None and row.comparison.ratio is not None:
        low, high = row.by_users
        parts["reason"] += (
            f"; were the films certain and only users redrawn, the ratio would be {low:.3g} to {high:.3g}"
        )
    return Figure(
        measure=row.measure, side="provider", axis=axis.axis, group=axis.names[row.code],
        reference=axis.reference_name, n=axis.counts[row.code], n_reference=axis.counts[axis.reference], **parts,
    )  # fmt: skip


def _compared(found: Comparison, verdict: Judgement) -> dict[str, Any]:
    return {
        "value": found.value,
        "interval": found.interval,
        "value_reference": found.value_reference,
        "ratio": found.ratio,
        "ratio_interval": verdict.ratio_interval if found.ratio is not None else None,
        "difference": found.difference,
        "difference_interval": verdict.difference_interval or found.difference_interval,
        "p": found.p,
        "p_adjusted": verdict.p_adjusted,
        "detectable_ratio": verdict.detectable_ratio,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "method": found.method,
    }


def _short(measured: Measured) -> int | None:
    """Return how many users got fewer films than asked for; None when they are too few to be told of."""
    short = int(np.any(measured.rows < 0, axis=1).sum())
    few = measured.panel.kind == OBSERVED and 0 < short < measured.plan.k_anonymity
    return None if few else short


def _panel_facts(panel: Panel, measured: Measured, withheld: Withheld) -> dict[str, Any]:
    lengths = np.bincount(panel.histories.users, minlength=panel.n_histories)
    users = None if withheld.whole else len(panel)
    return {
        "kind": panel.kind,
        "users": users,
        "tastes": users if panel.kind == OBSERVED else int(measured.clusters.max()) + 1,
        "slates": users,
        "short_slates": _short(measured),
        "history_length": int(np.median(lengths)),
        "panel_hash": panel.panel_hash,
    }
