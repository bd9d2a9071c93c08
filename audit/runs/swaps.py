"""Swaps: two personas with one history who differ in one attribute must get one list, film for film.

The comparison is of bytes, not of averages. When user vectors are equal and lists are not, a rule (availability, law,
age) made the difference, if it allows the two different films; when vectors differ, the blocks that differ leaked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit import names
from audit.plan import AGE_BAND, DECLARED_AXES, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION, USER_AXES
from audit.results import Swap
from recommender.features.layout import Layout

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

"""What the recommender says it uses: a market's mean film, and what may be shown where."""
ZERO_TOLERANCE: Final = (NAME_ORIGIN, GENDER, AGE_BAND, PREMIUM)
_TOGETHER: Final = {REGION: (MARKET,), MARKET: (REGION,)}
"""A region lies in one market: the one can't be swapped without the other."""
_LOOKED_AT: Final = 400
_EXAMPLES: Final = 5
_CHUNK: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What every persona got.

    Args:
        ids: Id of each persona.
        film_ids: Id of each film row.
        rows: Films, −1 for an empty place, shape ``(n, k)``.
        vectors: User vectors without weights, shape ``(n, dim)``.
        take: Returns film vectors by rows, shape ``(m, dim)``.
        weights: Weight of each column, shape ``(dim,)``.
        layout: Where the blocks lie.
        allowed: Returns the films the rules allow personas, shape ``(m, n_films)``.
    """

    ids: Sequence[str]
    film_ids: Sequence[str]
    rows: Codes
    vectors: Vectors
    take: Callable[[Codes], Vectors]
    weights: Vectors
    layout: Layout
    allowed: Callable[[Codes], Mask]


def swapped(accounts: pd.DataFrame, taste: Codes, lists: Lists, attributes: Sequence[str]) -> tuple[Swap, ...]:
    """Return what swapping each attribute changed.

    Args:
        accounts: A row a persona, with the columns of `audit.plan.USER_AXES`.
        taste: Whose history each persona has, shape ``(n,)``.
        lists: What they got.
        attributes: Which to swap.
    """
    return tuple(_swap(name, *pairs(accounts, taste, name), lists) for name in attributes)


def pairs(accounts: pd.DataFrame, taste: Codes, attribute: str) -> tuple[Codes, Codes]:
    """Return pairs of personas who differ in one attribute (and what follows from it) and in nothing else.

    Each persona is held against the first of those who share all else; were all equal to it, all would be equal.

    Args:
        accounts: A row a persona.
        taste: Whose history each has.
        attribute: What is swapped.

    Returns:
        First and second of each pair, shape ``(m,)``.
    """
    fixed = [name for name in USER_AXES if name != attribute and name not in _TOGETHER.get(attribute, ())]
    keys = [np.asarray(taste), *(pd.factorize(accounts[name])[0] for name in fixed if name in accounts)]
    _, cell = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
    cell = cell.ravel()
    value = pd.factorize(accounts[attribute], sort=True)[0]
    order = np.lexsort((np.arange(len(value)), value, cell))
    first = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    base = order[np.repeat(first, np.diff(np.r_[first, len(order)]))]
    differs = value[base] != value[order]
    return base[differs], order[differs]


def _swap(attribute: str, first: Codes, second: Codes, lists: Lists) -> Swap:
    declared = attribute in DECLARED_AXES
    listed = np.any(lists.rows[first] != lists.rows[second], axis=1)
    scored = _differ(lists.vectors, first, second)
    by_rule = listed & ~scored
    by_rule[by_rule] = _rules_differ(lists.allowed, first[by_rule], second[by_rule])
    leaking = _leaking(lists, first[scored], second[scored])
    at_fault = listed & ~by_rule
    passed = declared or not (at_fault.any() or scored.any())
    chosen = np.flatnonzero(at_fault if at_fault.any() else listed)[:_EXAMPLES]
    return Swap(
        attribute=attribute,
        pairs=len(first),
        differing=int(listed.sum()),
        by_rule=int(by_rule.sum()),
        declared=declared,
        leaking_blocks=leaking,
        examples=tuple(_example(lists, int(first[at]), int(second[at]), by_rule=bool(by_rule[at])) for at in chosen),
        passed=passed,
        words=_words(attribute, len(first), listed, by_rule, scored, leaking, passed=passed),
    )


def _differ(vectors: Vectors, first: Codes, second: Codes) -> Mask:
    out = np.zeros(len(first), np.bool_)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = np.any(vectors[first[part]] != vectors[second[part]], axis=1)
    return out


def _rules_differ(allowed: Callable[[Codes], Mask], first: Codes, second: Codes) -> Mask:
    out = np.zeros(len(first), np.bool_)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = np.any(allowed(first[part]) != allowed(second[part]), axis=1)
    return out


def _leaking(lists: Lists, first: Codes, second: Codes) -> tuple[tuple[str, float], ...]:
    """Return the mean absolute difference of each block's score terms, over the films of both lists."""
    if not len(first):
        return ()
    # Evenly spread pairs tell a block's share as well as all of them do.
    chosen = np.unique(np.linspace(0, len(first) - 1, min(len(first), _LOOKED_AT)).astype(np.int64))
    terms = {block: np.zeros(len(chosen)) for block in lists.layout}
    for place, at in enumerate(chosen.tolist()):
        a, b = int(first[at]), int(second[at])
        for block, value in term_differences(lists, a, b).items():
            terms[block][place] = float(np.abs(value).mean()) if value.size else 0.0
    # A film of either list may happen to be at right angles to what differs: the vector itself decides.
    moved = {block for block in lists.layout if _moved(lists, first[chosen], second[chosen], block)}
    found = [(block, float(values.mean())) for block, values in terms.items() if block in moved]
    return tuple(sorted(found, key=lambda one: (-one[1], one[0])))


def _moved(lists: Lists, first: Codes, second: Codes, block: str) -> bool:
    columns = lists.layout.columns(block)
    return bool(np.any(lists.vectors[first, columns] != lists.vectors[second, columns]))


def term_differences(lists: Lists, a: int, b: int) -> Mapping[str, npt.NDArray[np.float64]]:
    """Return by block how the score terms of two personas differ, first minus second, for the films either got.

    Args:
        lists: What they got.
        a: The first persona.
        b: The second.
    """
    films = np.unique(np.r_[lists.rows[a], lists.rows[b]])
    films = films[films >= 0]
    delta = (lists.vectors[a].astype(np.float64) - lists.vectors[b]) * lists.weights
    if not len(films):
        return {block: np.empty(0) for block in lists.layout}
    content = lists.take(films).astype(np.float64)
    return {
        block: content[:, lists.layout.columns(block)] @ delta[lists.layout.columns(block)] for block in lists.layout
    }


def _example(lists: Lists, a: int, b: int, *, by_rule: bool) -> dict[str, Any]:
    sums = {block: float(np.abs(value).sum()) for block, value in term_differences(lists, a, b).items()}
    block = max(sums, key=lambda name: sums[name], default="")
    return {
        "persona": str(lists.ids[a]),
        "other": str(lists.ids[b]),
        "films_before": [str(lists.film_ids[row]) for row in lists.rows[a].tolist() if row >= 0],
        "films_after": [str(lists.film_ids[row]) for row in lists.rows[b].tolist() if row >= 0],
        "block": "" if by_rule or not sums.get(block) else block,
    }


def _words(
    attribute: str,
    size: int,
    listed: Mask,
    by_rule: Mask,
    scored: Mask,
    leaking: Sequence[tuple[str, float]],
    *,
    passed: bool,
) -> str:
    swap = names.inside(attribute)
    if not size:
        return f"No two personas differ in {swap} alone: its swap was not tested."
    told = f"Of {size:,} pairs of personas who differ in {swap} alone, {int(listed.sum()):,} got different lists"
    if by_rule.any():
        told += f", {int(by_rule.sum()):,} of them only because a rule allows the two different films"
    blocks = ", ".join(block for block, _ in leaking)
    if attribute in DECLARED_AXES:
        use = f"; it reaches the score through {blocks}" if blocks else ""
        return f"{told}{use}. The recommender declares that it uses the {swap}: this is stated and no leak."
    if passed:
        return f"{told}. The attribute does not reach the score."
    silent = int((scored & ~listed).sum())
    quiet = f" In {silent:,} pairs the scores differ and the lists do not." if silent else ""
    source = f"it leaks through {blocks}" if blocks else "no block accounts for it"
    return f"{told}: {source}.{quiet}"
