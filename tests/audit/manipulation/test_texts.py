import numpy as np
import pandas as pd
import pytest

from audit.manipulation.terms import ASKED, ASKED_FROM, Company, Context, Likeness
from audit.manipulation.texts import TextNorm, compression_ratio, shingles
from data.synthetic.attacks import attack
from workspace.columns import Film

NOBODY = np.array([-1])


def test_shingles_are_runs_of_three_words() -> None:
    assert shingles("One last job, one LAST job.") == {"one last job", "last job one", "job one last"}


def test_repetition_compresses_and_short_texts_say_nothing() -> None:
    assert compression_ratio("love war " * 60) > 3 * compression_ratio("A retired safecracker finds the vault empty.")
    assert np.isnan(compression_ratio("short"))


def test_shares_are_of_the_other_films_that_name_a_term() -> None:
    company = Company.fit([["a", "b"], ["a"], ["a", "c"], ["d"]])
    # A new film of a and b: three of the four films name a and one b, over the four films less one.
    assert company.shares([["a", "b"]], NOBODY).toarray().tolist() == [[1, pytest.approx(1 / 3), 0, 0]]
    # The first film itself: two others name a, nobody else b.
    assert company.shares([["a", "b"]], np.array([0])).toarray().tolist() == [[pytest.approx(2 / 3), 0, 0, 0]]


def test_a_term_that_nothing_else_about_a_film_leads_one_to_expect_is_marked() -> None:
    heist, wedding = ["heist", "vault"], ["wedding", "kiss"]
    context = Context.fit(Company.fit([heist] * 30 + [wedding] * 30), Company.fit([["crime"]] * 30 + [["love"]] * 30))
    columns = context.kind.terms.vocabulary
    marked = context.unasked([["heist", "vault", "wedding"], ["wedding", "kiss"], ["wedding"], ["unheard"]],
                             [["crime"], ["love"], ["crime"], ["crime"]], np.full(4, -1)).toarray()  # fmt: skip
    # With 30 of 60 each, two that always meet lift one another by log(31 / 16): a friend and the genre make it 1.32.
    assert marked[:, columns["wedding"]].tolist() == [1, 0, 1, 0]
    assert marked[1].sum() == 0


@pytest.mark.parametrize("named", [["a"], []])
def test_films_of_one_term_or_none_have_no_company_to_be_held_against(named: list[str]) -> None:
    company = Company.fit([named] * 60)
    context = Context.fit(company, Company.fit([[]] * 60))
    assert context.unasked([named], [[]], NOBODY).sum() == len(named)
    assert company.shares([named], NOBODY).shape[0] == 1
    assert [figure.tolist() for figure in company.seldom([named], NOBODY)] == [[0], [0]]


def test_terms_are_marked_as_by_counting_the_other_films_by_hand() -> None:
    rng = np.random.default_rng(3)
    named = [[f"k{term}" for term in np.flatnonzero(rng.random(8) < 0.4)] for _ in range(120)]
    others = [[f"g{term}" for term in np.flatnonzero(rng.random(4) < 0.4)] for _ in range(120)]
    kind = Company.fit(named)
    marked = Context.fit(kind, Company.fit(others)).unasked(named, others, np.arange(120))
    for row, (terms, beside) in enumerate(zip(named, others, strict=True)):
        rest = [{*named[at], *others[at]} for at in range(120) if at != row]
        for term in terms:
            total = 0.0
            for other in {*terms, *beside} - {term}:
                both = sum({term, other} <= one for one in rest)
                chance = sum(term in one for one in rest) * sum(other in one for one in rest) / len(rest)
                total += np.log((both + 1) / (chance + 1))
            often = sum(term in one for one in rest) >= ASKED_FROM
            assert marked[row, kind.terms.vocabulary[term]] == (often and total <= ASKED), (row, term, total)


def test_pairs_that_never_meet_are_counted_once_both_terms_are_known() -> None:
    company = Company.fit([["drama", "war"]] * 10 + [["comedy", "music"]] * 10)
    count, lacking = company.seldom([["drama", "comedy", "unheard"], ["drama", "war"]], np.full(2, -1))
    assert count.tolist() == [1, 0]
    # Ten of drama and ten of comedy among the twenty films less one would meet 100 / 19 times.
    assert lacking == pytest.approx([np.log(100 / 19 + 1), 0])


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
    for name in ("keywords", "keyword reach", "frequent keywords", "unasked keywords", "tags off the synopsis"):
        assert np.median(after[name] - before[name]) > 2, name
    assert np.array_equal(after["genres"], before["genres"])


def test_stuffed_genres_show_in_count_and_company(films: pd.DataFrame) -> None:
    norm = TextNorm(films)
    attacked = attack(films, "genre_stuffing", share=0.05, seed=1)
    rows = np.flatnonzero(films[Film.ID].isin(attacked.film_ids))
    before = {sign.name: sign.z for sign in norm.signs(films.iloc[rows].reset_index(drop=True), rows)}
    after = {sign.name: sign.z for sign in norm.signs(attacked.films.iloc[rows].reset_index(drop=True), rows)}
    for name in ("genres", "seldom genres"):
        assert np.median(after[name] - before[name]) > 2, name
    assert np.array_equal(after["keyword reach"], before["keyword reach"])
