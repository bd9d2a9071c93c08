"""Term blocks: unit norm, exact split into terms, the same code for films that come later."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.features.terms import FittedTermBlock, TermBlock, TermField
from workspace.errors import InvalidValueError

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=6)


def block(dim: int = 8) -> TermBlock:
    return TermBlock(
        name="people",
        dim=dim,
        fields=(
            TermField(column="directors", label="director"),
            TermField(column="cast", label="cast", weight=0.5, most=2),
        ),
    )


def films(directors: list[list[str]], cast: list[list[str]]) -> pd.DataFrame:
    return pd.DataFrame({"directors": directors, "cast": cast})


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8))
def test_entries_sum_to_unit_or_zero_vectors(rows: list[tuple[list[str], list[str]]]) -> None:
    frame = films([row[0] for row in rows], [row[1] for row in rows])
    fitted = block().fit(frame)
    norms = np.linalg.norm(fitted.entries(frame).vectors(len(frame), 8), axis=1)
    assert np.all(np.isclose(norms, 1, atol=1e-5) | (norms == 0))


def test_entries_take_the_first_billed_only_and_drop_blanks_and_repeats() -> None:
    frame = films([["Ann", "Ann", " "]], [["Bo", "Cy", "Di"]])
    entries = block().fit(frame).entries(frame)
    assert entries.labels == ["director: Ann", "cast: Bo", "cast: Cy"]


def test_entries_weigh_by_field_and_inverse_document_frequency() -> None:
    frame = films([["Ann"], ["Ann"], ["Bea"], []], [["Cy"], [], [], []])
    entries = block(32).fit(frame).entries(frame)
    values = dict(zip(entries.labels[:2], entries.values[:2], strict=True))  # noqa: PD011 - no frame
    # By hand: director Ann is in 2 of 4 films, cast Cy in 1 of 4 at weight one half.
    ann, cy = np.log(1 + 4 / 2), 0.5 * np.log(1 + 4 / 1)
    assert values["director: Ann"] == pytest.approx(ann / np.hypot(ann, cy), rel=1e-6)
    assert values["cast: Cy"] == pytest.approx(cy / np.hypot(ann, cy), rel=1e-6)


def test_fit_gives_frequent_terms_a_dimension_of_their_own() -> None:
    frame = films([["Ann"]] * 5 + [[f"rare {i}"] for i in range(40)], [[]] * 45)
    fitted = block(16).fit(frame)
    column, sign = fitted.place("director: Ann")
    others = {fitted.place(f"director: rare {i}")[0] for i in range(40)}
    assert (column, sign) == (0, 1)
    assert 0 not in others


def test_fitted_block_encodes_later_films_like_earlier_ones() -> None:
    frame = films([["Ann"], ["Bea"]], [["Cy"], ["Di"]])
    fitted = block(32).fit(frame)
    restored = FittedTermBlock.from_dict(block(32), fitted.to_dict())
    later = films([["Ann"], ["Somebody New"]], [["Cy"], []])
    assert np.array_equal(restored.entries(later).vectors(2, 32)[0], fitted.entries(frame).vectors(2, 32)[0])
    assert np.linalg.norm(restored.entries(later).vectors(2, 32)[1]) == pytest.approx(1)


def test_block_refuses_a_width_too_small_to_share() -> None:
    with pytest.raises(InvalidValueError, match=r"people\.dim == 2, must be >= 8"):
        block(2)
