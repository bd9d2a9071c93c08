import itertools

import numpy as np
import pandas as pd
import pytest

from audit.runs.swaps import Lists, pairs, swapped, term_differences
from recommender.features.layout import Layout

LAYOUT = Layout.of({"genre": 2, "people": 2})
FILMS = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=np.float32)
VALUES = {
    "name_origin": ("anglophone", "slavic"),
    "gender": ("female", "male"),
    "age_band": ("18–29",),
    "region": ("US", "KZ"),
    "premium": ("free",),
}
MARKETS = {"US": "north_america", "KZ": "central_asia"}


def _accounts() -> tuple[pd.DataFrame, np.ndarray]:
    combos = list(itertools.product(range(3), *VALUES.values()))
    frame = pd.DataFrame([one[1:] for one in combos], columns=list(VALUES))
    frame["market"] = frame["region"].map(MARKETS)
    return frame, np.array([one[0] for one in combos])


def _lists(accounts: pd.DataFrame, rows: np.ndarray, vectors: np.ndarray, allowed: np.ndarray | None = None) -> Lists:
    masks = np.ones((len(accounts), len(FILMS)), np.bool_) if allowed is None else allowed
    return Lists(
        ids=[f"p{at}" for at in range(len(accounts))],
        film_ids=["a", "b", "c", "d"],
        rows=rows,
        vectors=vectors.astype(np.float32),
        take=lambda films: FILMS[films],
        weights=np.ones(4, np.float32),
        layout=LAYOUT,
        allowed=lambda codes: masks[codes],
    )


def _same(accounts: pd.DataFrame, taste: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.column_stack([taste % 4, (taste + 1) % 4]), np.ones((len(accounts), 4))


def test_pairs_differ_in_one_attribute_and_nothing_else() -> None:
    accounts, taste = _accounts()

    first, second = pairs(accounts, taste, "name_origin")

    assert len(first) == 3 * 2 * 2  # taste × gender × region, two origins each
    assert (taste[first] == taste[second]).all()
    for column in accounts.columns:
        same = accounts[column].to_numpy()[first] == accounts[column].to_numpy()[second]
        assert same.all() if column != "name_origin" else not same.any()


def test_a_region_is_swapped_with_its_market() -> None:
    accounts, taste = _accounts()

    first, second = pairs(accounts, taste, "region")

    assert len(first) == 12
    assert (accounts["market"].to_numpy()[first] != accounts["market"].to_numpy()[second]).all()


def test_identical_lists_pass() -> None:
    accounts, taste = _accounts()

    found = swapped(accounts, taste, _lists(accounts, *_same(accounts, taste)), ["name_origin", "gender"])

    assert [(one.attribute, one.pairs, one.differing, one.passed) for one in found] == [
        ("name_origin", 12, 0, True),
        ("gender", 12, 0, True),
    ]
    assert "does not reach the score" in found[0].words


def test_one_different_film_fails_and_names_the_block() -> None:
    accounts, taste = _accounts()
    rows, vectors = _same(accounts, taste)
    slavic = (accounts["name_origin"] == "slavic").to_numpy()
    vectors[slavic, 2] = 1.5
    rows[np.flatnonzero(slavic)[0], 0] = 3

    name, gender = swapped(accounts, taste, _lists(accounts, rows, vectors), ["name_origin", "gender"])

    assert not name.passed
    assert name.differing == 1
    # Films a, b, d of the first pair and a, b of others: only films with a first person differ, by 0.5 each.
    assert [block for block, _ in name.leaking_blocks] == ["people"]
    assert name.leaking_blocks[0][1] > 0
    assert name.examples[0]["block"] == "people"
    assert name.examples[0]["films_before"] != name.examples[0]["films_after"]
    assert "leaks through people" in name.words
    assert gender.differing == 1  # the one changed list differs from its twin of the other gender too
    assert not gender.passed
    assert gender.leaking_blocks == ()


def test_a_score_that_differs_behind_equal_lists_fails() -> None:
    accounts, taste = _accounts()
    rows, vectors = _same(accounts, taste)
    vectors[(accounts["gender"] == "male").to_numpy(), 0] += 1e-6

    found = swapped(accounts, taste, _lists(accounts, rows, vectors), ["gender"])[0]

    assert (found.differing, found.passed) == (0, False)
    assert "the scores differ and the lists do not" in found.words


def test_what_a_rule_forbids_is_no_leak() -> None:
    accounts, taste = _accounts()
    rows, vectors = _same(accounts, taste)
    young = (accounts["gender"] == "male").to_numpy()
    allowed = np.ones((len(accounts), 4), np.bool_)
    allowed[young, 1] = False
    rows[young & (taste == 0), 1] = 2

    found = swapped(accounts, taste, _lists(accounts, rows, vectors, allowed), ["gender"])[0]

    assert (found.differing, found.by_rule, found.passed) == (4, 4, True)
    assert "only because a rule" in found.words


def test_a_declared_input_is_stated_and_passes() -> None:
    accounts, taste = _accounts()
    rows, vectors = _same(accounts, taste)
    there = (accounts["region"] == "KZ").to_numpy()
    vectors[there, 0] = 2
    rows[there, 0] = 3

    found = swapped(accounts, taste, _lists(accounts, rows, vectors), ["region"])[0]

    assert found.declared
    assert found.passed
    assert found.differing == 12
    assert found.leaking_blocks[0][0] == "genre"


def test_no_pair_is_said() -> None:
    accounts, taste = _accounts()

    found = swapped(accounts, taste, _lists(accounts, *_same(accounts, taste)), ["premium"])[0]

    assert found.pairs == 0
    assert "was not tested" in found.words


def test_term_differences_by_hand() -> None:
    accounts, taste = _accounts()
    rows, vectors = _same(accounts, taste)
    rows[0], rows[1] = [0, 1], [1, 2]
    vectors[0], vectors[1] = [3, 1, 1, 1], [1, 1, 1, 2]

    found = term_differences(_lists(accounts, rows, vectors), 0, 1)

    # Films a, b, c; the first genre counts 2 more for persona 0, the second person 1 less.
    assert found["genre"] == pytest.approx([2, 2, 0])
    assert found["people"] == pytest.approx([0, -1, 0])
