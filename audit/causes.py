"""From a row to its cause: the films and personas behind it, the score terms that differ, one pair of lists again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from audit.exposure import position_weights
from audit.panel import NAME, PERSONA, Panel
from audit.personas import build_panel
from audit.results import Figure, Findings
from audit.runs.grouping import Grouping
from audit.runs.measuring import OBSERVED, Measured, measure
from audit.runs.running import check_subject
from audit.runs.users import compared_members
from audit.subject import Subject
from workspace.errors import IntegrityError, InvalidValueError, UnknownError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MOST: Final = 20
_TERM_FILMS: Final = 50
"""Films of each side whose terms are averaged on the provider side."""
_TINY: Final = 1e-12
_DIGITS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is behind a row.

    Args:
        figure: The row.
        films: ``(film_id, title, exposure group, exposure reference, difference)``: shares of the lists' discounted
            exposure, those that differ most first. On the provider side a film has exposure on the side of its group.
        personas: ``(persona_id, group, name, list)`` of pairs whose lists differ most; none of observed users.
        blocks: ``(block, mean difference of score terms)``, group less reference, over the films that make the
            difference, largest first; they sum to the difference of the scores.
        features: ``(block, label, difference)``: the same by named feature.
        replay: ``persona_id_a persona_id_b list_a list_b identical again``: one pair asked again, with nothing kept
            from the run; empty of observed users and on the provider side.
    """

    figure: Figure
    films: tuple[tuple[str, str, float, float, float], ...]
    personas: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    blocks: tuple[tuple[str, float], ...]
    features: tuple[tuple[str, str, float], ...]
    replay: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def trace(findings: Findings, figure_key: str, subject: Subject, *, most: int = MOST) -> Cause:
    """Return what is behind a row of findings.

    Args:
        findings: What a run found.
        figure_key: The row's `audit.results.Figure.key`.
        subject: The version under audit, opened as the plan says.
        most: Films, personas and features at most.

    Raises:
        UnknownError: When there is no such row.
        InvalidValueError: When the row is withheld, compares nobody, or the subject is not the plan's.
        IntegrityError: When the plan no longer gives the panel the findings were made on.
    """
    figure = next((one for one in findings.figures if one.key == figure_key), None)
    if figure is None:
        raise UnknownError(f"figure == {figure_key!r}", "must be a row of the findings", "take the key from its row")
    if figure.value is None or not figure.reference or figure.group == figure.reference:
        why = figure.reason or "there is no comparison in it"
        raise InvalidValueError(f"figure == {figure_key!r}", "must compare a group with a reference", why)
    plan = findings.plan
    check_subject(replace(plan, market_version=""), subject, None)
    panel = build_panel(plan, subject.view)
    if panel.panel_hash != findings.panel["panel_hash"]:
        raise IntegrityError("the plan gives another panel than the findings were made on", hint="run the audit again")
    measured = measure(plan, panel, subject.view.films, subject.view.alive, subject.slates(panel, plan.k))
    if figure.side == "provider":
        return _provider(figure, measured, subject, most)
    return _user(figure, measured, subject, most)


def _user(figure: Figure, measured: Measured, subject: Subject, most: int) -> Cause:
    axis = measured.users[figure.axis]
    one, other = compared_members(measured, axis, axis.names.index(figure.group))
    first, second = _partners(measured, axis, one, other)
    shown = [exposure_shares(measured.rows[part], len(subject.film_ids)) for part in (one, other)]
    if measured.panel.kind == OBSERVED:
        _mask_few(shown, [measured.rows[part] for part in (one, other)], measured.plan.k_anonymity)
    apart = shown[0] - shown[1]
    if figure.film_group:
        members = measured.films[figure.film_axis].members(
            measured.films[figure.film_axis].names.index(figure.film_group)
        )
        apart = np.where(np.isin(np.arange(len(apart)), members), apart, 0.0)
    films = _largest(apart, most)
    moving = _moving(films, apart, figure)
    vectors = subject.user_vectors(measured.panel)
    delta = (_mean(vectors, first) - _mean(vectors, second)) * subject.layout.spread(subject.weights)
    blocks, features = _terms(subject, delta, moving, most)
    worst = _worst(measured, first, second, moving)
    told = measured.panel.kind != OBSERVED
    return Cause(
        figure=figure,
        films=tuple(_film(subject, row, shown[0][row], shown[1][row]) for row in films.tolist()),
        personas=tuple(_personas(measured, subject, figure, first, second, worst[: most // 2])) if told else (),
        blocks=blocks,
        features=features,
        replay=_replay(measured, subject, int(first[worst[0]]), int(second[worst[0]])) if told and len(worst) else {},
    )


def _provider(figure: Figure, measured: Measured, subject: Subject, most: int) -> Cause:
    axis = measured.films[figure.axis]
    shown = exposure_shares(measured.rows, len(subject.film_ids))
    if measured.panel.kind == OBSERVED:
        _mask_few([shown], [measured.rows], measured.plan.k_anonymity)
    group, reference = (
        _largest(np.where(axis.codes == code, shown, 0.0), _TERM_FILMS)
        for code in (axis.names.index(figure.group), axis.reference)
    )
    listed = _largest(np.where(np.isin(axis.codes, [axis.names.index(figure.group), axis.reference]), shown, 0.0), most)
    mine = set(axis.members(axis.names.index(figure.group)).tolist())
    vectors = subject.user_vectors(measured.panel)
    query = _mean(vectors, np.arange(len(vectors))) * subject.layout.spread(subject.weights)
    sides = [_terms(subject, query, part, _TERM_FILMS) for part in (group, reference)]
    blocks = _less(dict(sides[0][0]), dict(sides[1][0]))
    return Cause(
        figure=figure,
        films=tuple(
            _film(subject, row, shown[row] if row in mine else 0.0, 0.0 if row in mine else shown[row])
            for row in listed.tolist()
        ),
        personas=(),
        blocks=tuple(sorted(blocks.items(), key=lambda item: (-abs(item[1]), item[0]))),
        features=tuple(sorted((*sides[0][1][: most // 2], *((b, f, -v) for b, f, v in sides[1][1][: most // 2])),
                              key=lambda item: (-abs(item[2]), item[0], item[1]))),
        replay={},
    )  # fmt: skip


def exposure_shares(rows: Codes, n_films: int) -> Floats:
    """Return each film's share of the discounted exposure of some lists, shape ``(n_films,)``; 0 without a list."""
    filled = rows >= 0
    weights = np.broadcast_to(position_weights(rows.shape[1]), rows.shape)[filled]
    total = weights.sum()
    out: Floats = np.bincount(rows[filled], weights, n_films).astype(np.float64) / (total or 1.0)
    return out


def _mask_few(shown: Sequence[Floats], rows: Sequence[Codes], k: int) -> None:
    """Leave out films that some but fewer than k users of a group were shown."""
    few = np.zeros(len(shown[0]), np.bool_)
    for part in rows:
        users = np.bincount(part[part >= 0], minlength=len(few))
        few |= (users > 0) & (users < k)
    for one in shown:
        one[few] = 0.0


def _partners(measured: Measured, axis: Grouping, one: Codes, other: Codes) -> tuple[Codes, Codes]:
    """Pair accounts of a group with accounts of its reference in the same stratum, in their order; else all with all.

    Within a taste every combination of the other attributes occurs in the same order in both.
    """
    if measured.strata is None:
        return one, other
    strata = measured.strata[axis.axis]
    keys = [_numbered(strata[part]) for part in (one, other)]
    _, first, second = np.intersect1d(keys[0], keys[1], return_indices=True)
    return one[first], other[second]


def _numbered(strata: Codes) -> Codes:
    """Return keys that are unique: the stratum, and the place within it."""
    order = np.argsort(strata, kind="stable")
    ordered = strata[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    within = np.empty(len(strata), np.int64)
    within[order] = np.arange(len(strata)) - np.repeat(starts, np.diff(np.r_[starts, len(strata)]))
    return strata * (len(strata) + 1) + within


def _largest(values: Floats, most: int) -> Codes:
    order = np.lexsort((np.arange(len(values)), -np.abs(values)))[:most]
    return order[np.abs(values[order]) > _TINY]


def _moving(films: Codes, apart: Floats, figure: Figure) -> Codes:
    """Return the films that make the difference: those that moved its way, which rose when no film group is asked."""
    sign = -1.0 if figure.film_group and figure.difference is not None and figure.difference < 0 else 1.0
    chosen = films[apart[films] * sign > 0]
    return chosen if len(chosen) else films


def _mean(vectors: npt.NDArray[np.float32], codes: Codes) -> Floats:
    out: Floats = vectors[codes].mean(axis=0, dtype=np.float64)
    return out


def _terms(
    subject: Subject, query: Floats, films: Codes, most: int
) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, str, float], ...]]:
    """Return the score terms of a query, meaned over films, by block and by named feature."""
    layout = subject.layout
    if not len(films):
        return (), ()
    # Terms are linear: the mean over films is the term of the mean film.
    mean = subject.view.index.take(films).astype(np.float64).mean(axis=0)
    blocks = {
        name: float(np.round(query[layout.columns(name)] @ mean[layout.columns(name)], _DIGITS)) for name in layout
    }
    blocks = {name: value for name, value in blocks.items() if abs(value) > _TINY}
    features: dict[tuple[str, str], float] = {}
    for film in films.tolist():
        for term in subject.view.stored.terms(film):
            block = next(name for name in layout if term.column < layout.columns(name).stop)
            if block in blocks:
                key = block, term.label
                features[key] = features.get(key, 0.0) + float(query[term.column] * term.value) / len(films)
    for block in blocks.keys() - {name for name, _ in features}:
        features[block, block] = blocks[block]  # a block without named features is one feature
    named = [(block, label, round(value, _DIGITS)) for (block, label), value in features.items() if abs(value) > _TINY]
    named.sort(key=lambda item: (-abs(item[2]), item[0], item[1]))
    return tuple(sorted(blocks.items(), key=lambda item: (-abs(item[1]), item[0]))), tuple(named[:most])


def _less(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    names = dict.fromkeys((*first, *second))
    return {name: round(first.get(name, 0.0) - second.get(name, 0.0), _DIGITS) for name in names}


def _worst(measured: Measured, first: Codes, second: Codes, moving: Codes) -> Codes:
    """Return the pairs, those first of which one got more of the moving films than the other."""
    if measured.panel.kind == OBSERVED:
        return np.empty(0, np.int64)
    size = min(len(first), len(second))
    counts = [np.isin(measured.rows[part[:size]], moving).sum(axis=1) for part in (first, second)]
    differ = np.any(measured.rows[first[:size]] != measured.rows[second[:size]], axis=1)
    return np.lexsort((np.arange(size), ~differ, -np.abs(counts[0] - counts[1])))


def _film(subject: Subject, row: int, group: float, reference: float) -> tuple[str, str, float, float, float]:
    values = (round(float(one), _DIGITS) for one in (group, reference, group - reference))
    return (subject.film_ids[row], subject.view.titles[row], *values)  # type: ignore[return-value]


def _list(measured: Measured, subject: Subject, code: int) -> tuple[str, ...]:
    return tuple(subject.film_ids[row] for row in measured.rows[code].tolist() if row >= 0)


def _personas(
    measured: Measured, subject: Subject, figure: Figure, first: Codes, second: Codes, places: Codes
) -> list[tuple[str, str, str, tuple[str, ...]]]:
    accounts = measured.panel.accounts
    return [
        (str(accounts[PERSONA].iloc[code]), group, str(accounts[NAME].iloc[code]), _list(measured, subject, code))
        for place in places.tolist()
        for code, group in ((int(first[place]), figure.group), (int(second[place]), figure.reference))
    ]


def _replay(measured: Measured, subject: Subject, a: int, b: int) -> dict[str, Any]:
    """Ask again for two accounts alone, with a subject that remembers nothing."""
    panel = measured.panel
    codes = np.array([a, b], np.int64)
    pair: Panel = replace(
        panel,
        accounts=panel.accounts.iloc[codes].reset_index(drop=True),
        history_of=panel.history_of[codes],
        cluster=panel.cluster[codes],
    )
    again = Subject(subject.view, subject.on).slates(_compact(pair), measured.plan.k)[0]
    lists = [_list(measured, subject, code) for code in (a, b)]
    return {
        "persona_id_a": str(panel.accounts[PERSONA].iloc[a]),
        "persona_id_b": str(panel.accounts[PERSONA].iloc[b]),
        "list_a": list(lists[0]),
        "list_b": list(lists[1]),
        "identical": lists[0] == lists[1],
        "again": bool(np.array_equal(again, measured.rows[codes])),
    }


def _compact(panel: Panel) -> Panel:
    """Return the panel with its own histories only, numbered anew."""
    kept, codes = np.unique(panel.history_of, return_inverse=True)
    numbered = np.full(int(max(panel.histories.users.max(initial=-1), kept.max())) + 1, -1, np.int64)
    numbered[kept] = np.arange(len(kept))
    parts = []
    for acts in (panel.histories, panel.heldout):
        mine = acts.take(np.isin(acts.users, kept))
        parts.append(replace(mine, users=numbered[mine.users]))
    return replace(panel, histories=parts[0], heldout=parts[1], history_of=codes.astype(np.int64))
