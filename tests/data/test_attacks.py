import numpy as np
import pandas as pd
import pytest

from data.synthetic import World
from data.synthetic.attacks import APPENDED, KINDS, STUFFED_GENRES, AttackKind, attack, reworded
from workspace.columns import Film
from workspace.errors import InvalidValueError


def added(world: World, kind: AttackKind, column: str) -> list[int]:
    attacked = attack(world.films, kind, share=0.01, seed=1)
    chosen = world.films[Film.ID].isin(attacked.film_ids)
    pairs = zip(world.films.loc[chosen, column], attacked.films.loc[chosen, column], strict=True)
    return [len(after) - len(before) for before, after in pairs]


@pytest.mark.parametrize("kind", KINDS)
def test_attack_changes_the_named_films_and_no_other(world: World, kind: AttackKind) -> None:
    attacked = attack(world.films, kind, share=0.01, seed=1)
    assert len(attacked.film_ids) == 7
    chosen = world.films[Film.ID].isin(attacked.film_ids)
    pd.testing.assert_frame_equal(attacked.films[~chosen], world.films[~chosen])
    pd.testing.assert_frame_equal(attacked.films, attack(world.films, kind, share=0.01, seed=1).films)


def test_appended_keywords_and_genres_keep_to_their_numbers(world: World) -> None:
    assert all(APPENDED[0] <= more <= APPENDED[1] for more in added(world, "keyword_append", Film.KEYWORDS))
    assert all(STUFFED_GENRES[0] <= more <= STUFFED_GENRES[1] for more in added(world, "genre_stuffing", Film.GENRES))


def test_mimicry_copies_its_model_and_a_paraphrase_its_words_do_not(world: World) -> None:
    films = world.films.set_index(Film.ID)

    def same(frame: pd.DataFrame, one: str, model: str) -> bool:
        return bool(frame.set_index(Film.ID).loc[one, Film.SYNOPSIS] == films.loc[model, Film.SYNOPSIS])

    copied, told = (attack(world.films, kind, share=0.01, seed=1) for kind in ("mimicry", "paraphrase"))
    assert all(same(copied.films, one, model) for one, model in copied.models.items())
    assert not any(same(told.films, one, model) for one, model in told.models.items())


def test_other_words_say_the_same_in_another_order() -> None:
    text = reworded("The old man keeps a secret. The city sleeps.", np.random.default_rng(1))
    assert "secret" not in text
    assert "sleeps" in text


def test_unknown_attacks_and_shares_are_named(world: World) -> None:
    with pytest.raises(InvalidValueError, match="must be one of keyword_append"):
        attack(world.films, "bribery", share=0.01, seed=1)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="share == 0"):
        attack(world.films, "mimicry", share=0.0, seed=1)
    with pytest.raises(InvalidValueError, match="films == 5"):
        attack(world.films.head(5), "mimicry", share=0.1, seed=1)
