import time

import numpy as np
import pandas as pd
import pytest

from audit.manipulation.gate import Gate, out_of_bounds
from data.synthetic.attacks import KINDS, AttackKind, attack
from tests.audit.manipulation.films import films as made
from workspace.columns import Film
from workspace.errors import InvalidValueError, NotEstimableError


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "paraphrase"])
def test_gate_holds_nine_in_ten_of_each_attack(films: pd.DataFrame, gate: Gate, kind: AttackKind) -> None:
    attacked = attack(films, kind, share=0.1, seed=2)
    changed = attacked.films[attacked.films[Film.ID].isin(attacked.film_ids)]
    assert np.mean([one.held for one in gate.judge(changed)]) >= 0.9


def test_gate_holds_at_most_the_stated_share_of_its_own_norm(gate: Gate) -> None:
    assert np.mean(gate.scores > gate.threshold) <= 0.01


def test_gate_holds_few_of_the_clean_films_that_come_later() -> None:
    everything = made(600, seed=5)
    late = np.random.default_rng(4).permutation(len(everything)) < 200
    found = Gate(everything[~late]).judge(everything[late])
    # 1 % of 200 are 2; more than 8 would come by chance once in 3,000 times.
    assert sum(one.held for one in found) <= 8


def test_parts_add_up_to_the_score_and_a_clean_film_judges_as_in_the_norm(films: pd.DataFrame, gate: Gate) -> None:
    found = gate.judge(films)
    assert [one.score for one in found] == pytest.approx(gate.scores)
    for one in found:
        assert sum(reason.adds for reason in one.reasons) == pytest.approx(one.score)
        assert one.lift == pytest.approx(0.0)


def test_a_mimicry_is_named_with_its_model(films: pd.DataFrame, gate: Gate) -> None:
    attacked = attack(films, "mimicry", share=0.02, seed=1)
    changed = attacked.films[attacked.films[Film.ID].isin(attacked.film_ids)]
    for one in gate.judge(changed):
        words = {reason.sign: reason.words for reason in one.reasons}
        assert attacked.models[one.film_id] in words["same text"]


def test_too_few_films_are_no_norm(films: pd.DataFrame) -> None:
    with pytest.raises(NotEstimableError, match="49 films"):
        Gate(films.head(49))
    with pytest.raises(InvalidValueError, match="rate == 1"):
        Gate(films, rate=1.0)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (Film.KEYWORDS, ["x" * 10_000_000], "keywords: an entry of 10000000 characters, at most 200"),
        (Film.KEYWORDS, ["love"] * 1_000_000, "keywords: 1000000 entries, at most 500"),
        (Film.KEYWORDS, ["love\x00war"], "keywords: holds control characters"),
        (Film.SYNOPSIS, "a\x1b[2J", "synopsis: holds control characters"),
        (Film.SYNOPSIS, "a" * 10_000_000, "synopsis: 10000000 characters, at most 20000"),
        (Film.GENRES, ["Drama"] * 51, "genres: 51 entries, at most 50"),
    ],
)
def test_metadata_out_of_bounds_are_named_at_once(films: pd.DataFrame, column: str, value: object, reason: str) -> None:
    film = films.iloc[0].to_dict() | {column: value}
    began = time.process_time()
    assert out_of_bounds(film) == reason
    assert time.process_time() - began < 0.5


def test_a_plain_film_is_in_bounds(films: pd.DataFrame) -> None:
    assert {out_of_bounds(film) for film in films.to_dict("records")} == {""}
