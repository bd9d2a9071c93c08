import numpy as np
import pandas as pd
import pytest

from audit.manipulation.terms import Company, Likeness
from audit.manipulation.texts import TextNorm, compression_ratio, shingles
from data.synthetic.attacks import attack
from workspace.columns import Film

NOBODY = np.array([-1])


def test_shingles_are_runs_of_three_words() -> None:
    assert shingles("One last job, one LAST job.") == {"one last job", "last job one", "job one last"}


def test_repetition_compresses_and_short_texts_say_nothing() -> None:
    assert compression_ratio("love war " * 60) > 3 * compression_ratio("A retired safecracker finds the vault empty.")
    assert np.isnan(compression_ratio("short"))


def test_reach_counts_terms_shared_with_the_average_other_film() -> None:
    company = Company.fit([["a", "b"], ["a"], ["a", "c"], ["d"]])
    # A new film of a and b shares three of a and one of b with four films, over the four films less one.
    assert company.reach([["a", "b"]], NOBODY)[0] == pytest.approx(4 / 3)
    # The first film itself: two others name a, nobody else b.
    assert company.reach([["a", "b"]], np.array([0]))[0] == pytest.approx(2 / 3)


def test_pairs_that_never_meet_are_counted_once_both_terms_are_known() -> None:
    company = Company.fit([["drama", "war"]] * 10 + [["comedy", "music"]] * 10)
    assert company.seldom([["drama", "comedy", "unheard"]], NOBODY).tolist() == [1.0]
    assert company.seldom([["drama", "war"]], NOBODY).tolist() == [0.0]


def test_a_copy_is_found_with_its_model_and_a_film_is_no_copy_of_itself() -> None:
    named = [["a", "b", "c"], ["d", "e"], ["f", "g"]]
    family = np.array(["", "", ""], dtype=object)
    likeness = Likeness.fit(named, family)
    alike, at = likeness.nearest([["d", "e"]], NOBODY, family[:1])
    assert (alike[0], at[0]) == (pytest.approx(1.0), 1)
    assert likeness.nearest([["d", "e"]], np.array([1]), family[:1])[0].tolist() == [0.0]


def test_parts_of_one_series_of_one_studio_may_be_alike() -> None:
    family = np.array(["s\x1fSaga", "s\x1fSaga"], dtype=object)
    likeness = Likeness.fit([["a"], ["b"]], family)
    assert likeness.nearest([["a"]], NOBODY, family[:1])[0].tolist() == [0.0]
    assert likeness.nearest([["a"]], NOBODY, np.array([""], dtype=object))[0][0] == pytest.approx(1.0)


def test_appended_keywords_show_in_count_reach_and_mismatch(films: pd.DataFrame) -> None:
    norm = TextNorm(films)
    attacked = attack(films, "keyword_append", share=0.05, seed=1)
    rows = np.flatnonzero(films[Film.ID].isin(attacked.film_ids))
    before = {sign.name: sign.z for sign in norm.signs(films.iloc[rows].reset_index(drop=True), rows)}
    after = {sign.name: sign.z for sign in norm.signs(attacked.films.iloc[rows].reset_index(drop=True), rows)}
    for name in ("keywords", "keyword reach", "tags off the synopsis"):
        assert np.median(after[name] - before[name]) > 2, name
    assert np.array_equal(after["genres"], before["genres"])
