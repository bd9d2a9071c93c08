import pandas as pd
import pytest

from audit.manipulation.edits import diff
from workspace.columns import Film


def stuffed(films: pd.DataFrame) -> tuple[pd.DataFrame, str, set[str]]:
    """Every film of one studio gets ten keywords more; of three other films the tagline was mended."""
    first = films[Film.STUDIOS].map(lambda studios: studios[0] if studios else "")
    studio = str(first.value_counts().index[0])
    own = first == studio
    after = films.copy()
    words = films[Film.KEYWORDS].explode().value_counts().index[:10].tolist()
    after[Film.KEYWORDS] = [[*cell, *words] if mine else cell for cell, mine in zip(films.keywords, own, strict=True)]
    mended = films.index[~own][:3]
    after.loc[mended, Film.TAGLINE] = "Mended."
    return after, studio, set(films.loc[own, Film.ID])


def test_the_studio_that_stuffs_keywords_is_first_with_its_films(films: pd.DataFrame) -> None:
    after, studio, own = stuffed(films)
    found = diff(films, after)
    assert found.studios[0].studio == studio
    assert set(found.studios[0].film_ids) == own
    assert found.studios[0].moved > 0
    assert found.studios[0].keywords_added > 0
    assert len(found.edits) == len(own) + 3


def test_an_edit_is_explained_by_its_fields(films: pd.DataFrame) -> None:
    after, _, own = stuffed(films)
    for edit in diff(films, after).edits:
        assert edit.fields == ((Film.KEYWORDS,) if edit.film_id in own else (Film.TAGLINE,))
        # One field alone changed, so it accounts for all of it; a tagline is no term.
        assert sum(edit.by_field.values()) == pytest.approx(edit.lift)
        if edit.film_id not in own:
            assert edit.lift == pytest.approx(0.0)


def test_no_edit_is_no_row(films: pd.DataFrame) -> None:
    assert diff(films, films).to_dict() == {"edits": [], "studios": []}
