import subprocess
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.catalogue import (
    Catalogue,
    QuarantineLog,
    build_catalogue,
    film_hashes,
    list_catalogues,
    load_catalogue,
    natural_order,
    save_catalogue,
    screen_interactions,
    switch_catalogue,
)
from recommender.catalogue.texts import clean_text, shown
from tests.recommender.catalogue_frames import NOW, film, films, interactions, users
from workspace.columns import Film, Interaction, Quarantine
from workspace.errors import IntegrityError, SchemaError, StateError, UnknownError
from workspace.paths import Paths

PARTS = ("films", "users", "interactions", "quarantine", "provenance")


def small(title: str = "Amélie", **facts: object) -> Catalogue:
    return build_catalogue(
        films(film("10", "Alien"), film("9", title, **{Film.ORIGINAL_TITLE: "Le Fabuleux Destin"}), film("b", "Up")),
        users("2", "1"),
        interactions(
            ("2", "10", "rated", 4.5, NOW),
            ("1", "10", "watched", 1.0, NOW),
            ("1", "9", "rated", 2.0, NOW),
            ("1", "b", "dismissed", -1.0, NOW - timedelta(days=9)),
        ),
        manifest={"imported_at": NOW.isoformat(), **facts},
    )


def test_build_catalogue_puts_films_in_natural_order_and_interactions_by_user_time_film() -> None:
    catalogue = small()
    assert catalogue.films[Film.ID].tolist() == ["9", "10", "b"]
    pairs = list(zip(catalogue.interactions[Interaction.USER], catalogue.interactions[Interaction.FILM], strict=True))
    assert pairs == [("1", "b"), ("1", "9"), ("1", "10"), ("2", "10")]


def test_build_catalogue_is_named_by_content_whatever_the_order_of_rows() -> None:
    one = small()
    two = build_catalogue(one.films[::-1], one.users[::-1], one.interactions[::-1])
    assert one.snapshot_id == two.snapshot_id
    assert one.snapshot_id != small("Amelie").snapshot_id
    assert len(one.snapshot_id) == 13
    assert one.snapshot_id[0] == "c"


def test_build_catalogue_fills_missing_cells() -> None:
    row = small().films.iloc[2]
    assert row[Film.SYNOPSIS] == ""
    assert row[Film.CAST] == []
    assert np.isnan(row[Film.RUNTIME_MIN])


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (films(film("1", "A"), film("1", "B")), "film_id.*'1'.*once"),
        (films(film("1", "A")).drop(columns=Film.GENRES), "no column genres"),
        (films(film("1", "A", runtime_min=-5)), "runtime_min"),
        (films(film("1", "A", runtime_min="long")), "runtime_min.*number"),
        (films(film("1", "A", vote_average=11)), "vote_average"),
        (films(film("1", "A", cast="Uma Thurman")), "cast.*list"),
        (films(film("", "A")), "film_id"),
        (films(film(None, "A")), "film_id.*missing"),
    ],
)
def test_build_catalogue_refuses_films_that_break_the_schema(broken: pd.DataFrame, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        build_catalogue(broken, users(), interactions())


def test_build_catalogue_names_interactions_with_unknown_films() -> None:
    with pytest.raises(SchemaError, match="unknown films, such as 77"):
        build_catalogue(films(film("1", "A")), users("1"), interactions(("1", "77", "rated", 3, NOW)))


def test_build_catalogue_accepts_nothing_at_all(home: Paths) -> None:
    empty = build_catalogue(films(), users(), interactions())
    save_catalogue(empty, home)
    assert len(load_catalogue(home).films) == 0


def test_film_row_names_close_films_when_unknown() -> None:
    catalogue = small()
    assert catalogue.film_row("10") == 1
    with pytest.raises(UnknownError, match=r"close are 9 \(Amélie\)"):
        catalogue.film_row("amelie")
    with pytest.raises(UnknownError, match=r"10 \(Alien\)"):
        catalogue.film_row("Aliem")
    with pytest.raises(UnknownError, match="3 films"):
        catalogue.film_row("\u202e\x00")


def test_history_is_ordered_by_time_and_empty_for_a_user_without() -> None:
    catalogue = small()
    assert catalogue.history("1")[Interaction.FILM].tolist() == ["b", "9", "10"]
    lonely = build_catalogue(films(film("1", "A")), users("1"), interactions())
    assert lonely.history("1").empty
    with pytest.raises(UnknownError, match="'7'"):
        catalogue.history("7")


def test_search_titles_ranks_equal_before_prefix_before_word_before_part() -> None:
    titles = ["The Up", "Sup", "Up", "Upstairs", "Amélie"]
    catalogue = build_catalogue(
        films(*(film(str(n), t) for n, t in enumerate(titles))), users(), interactions()
    )  # fmt: skip
    assert catalogue.search_titles("UP")[Film.TITLE].tolist() == ["Up", "Upstairs", "The Up", "Sup"]
    assert catalogue.search_titles("amelie").index.tolist() == [4]
    assert catalogue.search_titles("3")[Film.TITLE].tolist() == ["Upstairs"]
    assert len(catalogue.search_titles("up", limit=2)) == 2
    assert catalogue.search_titles("  ").empty
    assert catalogue.search_titles("(*[").empty


def test_film_hashes_change_with_content_and_not_with_votes_or_provider() -> None:
    base = film_hashes(small().films)
    assert len(set(base)) == 3
    assert (film_hashes(small().films.assign(vote_count=7.0, provider="other", popularity=3.0)) == base).all()
    changed = film_hashes(small("Amélie!").films) != base
    assert changed.tolist() == [True, False, False]


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=30))
def test_natural_order_of_numbers_is_their_order(numbers: list[int]) -> None:
    ids = pd.Series([str(n) for n in numbers], dtype="str")
    assert [int(ids[i]) for i in natural_order(ids)] == sorted(numbers)


def test_save_and_load_give_the_same_frames(home: Paths) -> None:
    catalogue = small()
    save_catalogue(catalogue, home)
    loaded = load_catalogue(home)
    for part in PARTS:
        pd.testing.assert_frame_equal(getattr(catalogue, part), getattr(loaded, part))
    assert loaded.snapshot_id == catalogue.snapshot_id
    assert loaded.manifest["counts"]["films"] == 3


def test_save_of_the_same_content_confirms_the_snapshot(home: Paths) -> None:
    save_catalogue(small(), home)
    later = (NOW + timedelta(days=2)).isoformat()
    save_catalogue(small(imported_at=later), home)
    (entry,) = list_catalogues(home)
    assert (entry.imported_at, entry.confirmed_at, entry.current) == (NOW.isoformat(), later, True)
    assert load_catalogue(home).manifest["confirmed_at"] == later


def test_save_beside_leaves_the_current_snapshot(home: Paths) -> None:
    first, second = small(), small("Delicatessen")
    save_catalogue(first, home)
    save_catalogue(second, home, current=False)
    assert load_catalogue(home).snapshot_id == first.snapshot_id
    assert "Delicatessen" in load_catalogue(home, second.snapshot_id).films[Film.TITLE].tolist()


def test_switch_goes_back_to_an_older_snapshot(home: Paths) -> None:
    first, second = small(), small("Other")
    save_catalogue(first, home)
    save_catalogue(second, home)
    assert load_catalogue(home).snapshot_id == second.snapshot_id
    switch_catalogue(home, first.snapshot_id)
    assert load_catalogue(home).snapshot_id == first.snapshot_id
    assert {entry.snapshot_id for entry in list_catalogues(home) if entry.current} == {first.snapshot_id}
    with pytest.raises(UnknownError, match="cffffffffffff"):
        switch_catalogue(home, "cffffffffffff")


def test_load_without_import_says_what_to_do(home: Paths) -> None:
    with pytest.raises(StateError, match="recommendr init"):
        load_catalogue(home)


@pytest.mark.parametrize("name", [*(f"{part}.parquet" for part in PARTS), "manifest.json"])
def test_load_names_a_file_with_a_flipped_byte_and_save_replaces_it(home: Paths, name: str) -> None:
    catalogue = small()
    path = save_catalogue(catalogue, home) / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match=name):
        load_catalogue(home)
    with pytest.raises(IntegrityError, match=name):
        switch_catalogue(home, catalogue.snapshot_id)
    save_catalogue(catalogue, home)
    assert load_catalogue(home).snapshot_id == catalogue.snapshot_id


def test_load_names_a_file_that_is_missing(home: Paths) -> None:
    (save_catalogue(small(), home) / "users.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"users\.parquet"):
        load_catalogue(home)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.recommender.test_catalogue import small
from recommender.catalogue import load_catalogue, save_catalogue
from workspace.paths import Paths

home, other = Paths(Path(sys.argv[1])), small("Other")
left = 0

def dying(call):
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return wrapped

for calls in map(int, sys.argv[2:]):
    # A process of its own dies at that call; this one has it ready, so that Python starts once.
    child = os.fork()
    if child == 0:
        left = calls
        for name in ("fsync", "rename", "replace", "open", "write"):
            setattr(os, name, dying(getattr(os, name)))
        save_catalogue(other, home)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), load_catalogue(home).snapshot_id)
"""


def test_save_killed_at_any_system_call_leaves_the_last_good_snapshot(home: Paths) -> None:
    first, second = small(), small("Other")
    save_catalogue(first, home)
    calls = [*map(str, range(28)), "500"]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED, str(home.home), *calls],
                          capture_output=True, check=True, text=True, timeout=120)  # fmt: skip
    outcomes = [tuple(line.split()) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(calls)
    assert {found for _, found in outcomes} == {first.snapshot_id, second.snapshot_id}
    assert {code for code, _ in outcomes} == {"-9", "0"}
    assert outcomes[0] == ("-9", first.snapshot_id)
    assert outcomes[-1] == ("0", second.snapshot_id)
    assert sorted(path.name for path in home.catalogue.glob("c*/")) == sorted({first.snapshot_id, second.snapshot_id})
    assert not list(home.catalogue.glob(".*.tmp"))


def test_screen_interactions_refuses_each_kind_of_bad_row_with_its_reason() -> None:
    good = ("1", "9", "rated", 5.0, NOW)
    rows = interactions(
        good, ("8", "9", "rated", 3, NOW), ("1", "77", "rated", 3, NOW), ("1", "9", "rated", 5.5, NOW),
        ("1", "9", "watched", 1.01, NOW), ("1", "9", "liked", 1, NOW), ("1", "9", "rated", float("nan"), NOW),
        ("1", "9", "rated", 3, NOW.replace(year=1970)), ("1", "9", "rated", 3, NOW + timedelta(days=3)),
    )  # fmt: skip
    log = QuarantineLog()
    kept = screen_interactions(rows, films(film("9", "A")), users("1"), now=NOW, source="live", log=log)
    assert kept.index.tolist() == [0]
    assert log.frame()[Quarantine.REASON].tolist() == [
        "unknown user", "unknown film", "unknown kind of interaction", "value is not a number", "value out of range",
        "value out of range", "timestamp before 1990", "timestamp in the future",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "clean", "reasons"),
    [
        ("<b>Up</b> **bold** [x](javascript:1)", "<b>Up</b> **bold** [x](javascript:1)", 0),
        ("Up\x00\x1b[31m", "Up[31m", 1),
        ("\u202eevil\u202c\u200f", "evil", 1),
        ("a\ud800b", "ab", 1),
        ("two\n\tlines ", "two lines", 0),
        ("x" * 30_000, "x" * 20_000, 1),
        ("שלום", "שלום", 0),
    ],
)
def test_clean_text_keeps_text_and_names_what_it_removes(text: str, clean: str, reasons: int) -> None:
    found, why = clean_text(text)
    assert found == clean
    assert len(why) == reasons


@given(st.text())
def test_clean_text_is_stable_and_storable(text: str) -> None:
    clean, _ = clean_text(text)
    assert clean_text(clean) == (clean, ())
    clean.encode("utf-8")


def test_shown_escapes_what_would_disturb_a_page() -> None:
    assert shown("a\x00\u202eé") == "a\\x00\\u202eé"
