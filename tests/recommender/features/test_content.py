"""The content half: what is encoded of a film, and that a later film lands in the same columns."""

import numpy as np
import pandas as pd
import pytest

from recommender.features.content import ContentFeatures, film_texts
from recommender.features.fitted import chosen_blocks
from recommender.features.layout import BLOCKS, CONTENT_BLOCKS
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from workspace.columns import Film
from workspace.errors import InvalidValueError


@pytest.fixture(scope="module")
def films() -> pd.DataFrame:
    return world.catalogue(films=60, users=2).films


def test_film_text_joins_title_tagline_and_synopsis() -> None:
    told = frames.film(
        "1", "Vagabond. ", **{Film.TAGLINE: " No roof. ", Film.SYNOPSIS: "A drifter.", Film.COLLECTION: ""}
    )
    silent = frames.film("2", "Vagabond", **{Film.TAGLINE: "", Film.SYNOPSIS: "  "})
    assert film_texts(frames.films(told, silent)) == ["Vagabond. No roof.. A drifter.", ""]


def test_every_block_is_of_norm_one_or_zero(films: pd.DataFrame) -> None:
    text = np.eye(60, 4, dtype=np.float32)
    fitted = ContentFeatures.fit(films, text_dim=4, blocks=BLOCKS)
    encoded = fitted.encode(films, text)
    assert tuple(encoded.dims) == CONTENT_BLOCKS
    for name in fitted.layout:
        norms = np.linalg.norm(encoded.vectors[:, fitted.layout.columns(name)], axis=1)
        assert np.all((np.abs(norms - 1) < 1e-5) | (norms == 0)), name
    undated = films.index[films[Film.ID] == world.UNDATED][0]
    assert not encoded.vectors[undated, fitted.layout.columns("genre")].any()
    assert not encoded.vectors[undated, fitted.layout.columns("era")].any()


def test_named_terms_add_up_to_the_vector(films: pd.DataFrame) -> None:
    fitted = ContentFeatures.fit(films, text_dim=0, blocks=BLOCKS)
    encoded = fitted.encode(films, None)
    for name, entries in encoded.entries.items():
        columns = fitted.layout.columns(name)
        again = np.zeros((60, columns.stop - columns.start))
        parts = (entries.rows.tolist(), entries.columns.tolist(), entries.values.tolist())  # noqa: PD011 - no frame
        for row, column, value in zip(*parts, strict=True):
            again[row, column] += value
        assert encoded.vectors[:, columns] == pytest.approx(again, abs=1e-6)


def test_a_film_is_encoded_alone_as_among_others_and_after_a_round_trip(films: pd.DataFrame) -> None:
    fitted = ContentFeatures.fit(films, text_dim=0, blocks=BLOCKS)
    whole = fitted.encode(films, None).vectors
    again = ContentFeatures.from_dict(fitted.to_dict())
    assert np.array_equal(again.encode(films.iloc[7:8].reset_index(drop=True), None).vectors[0], whole[7])


def test_left_out_blocks_have_no_columns(films: pd.DataFrame) -> None:
    fitted = ContentFeatures.fit(films, text_dim=4, blocks=("genre", "era"))
    assert list(fitted.layout) == ["genre", "era"]
    assert ContentFeatures.fit(films, text_dim=0, blocks=()).encode(films, None).vectors.shape == (60, 0)


def test_chosen_blocks_keep_their_order() -> None:
    assert chosen_blocks() == BLOCKS
    assert chosen_blocks(only=("era", "text")) == ("text", "era")
    assert "audience" not in chosen_blocks(without=("audience",))


def test_chosen_blocks_refuse_unknown_names_and_nothing() -> None:
    with pytest.raises(InvalidValueError, match="block == 'txt', must be one of text"):
        chosen_blocks(without=("txt",))
    with pytest.raises(InvalidValueError, match="at least one must be left"):
        chosen_blocks(without=("era",), only=("era",))
