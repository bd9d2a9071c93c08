import io
import random
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.catalogue import Catalogue, load_catalogue, save_catalogue
from recommender.catalogue.encoding import MAC_DAMAGED, MIXED, UTF8, decode, repair
from recommender.movielens import ImportReport, import_movielens
from recommender.movielens.cells import parse_age_rating, parse_date, parse_list, parse_number, parse_title
from workspace.clock import FrozenClock
from workspace.columns import Film, Interaction, Quarantine, User
from workspace.errors import SchemaError
from workspace.paths import Paths

CLOCK = FrozenClock(datetime(2026, 5, 1, tzinfo=UTC))
MOVIES = 'movieId,title,genres\n1,Toy Story (1995),Animation|Comedy\n2,"Matrix, The (1999)",(no genres listed)\n'
LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0133093,603\n"
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,1000000000\n1,2,5,1000000100\n10,1,0.5,1000000000\n"
HEADER = ("movieId,tmdbId,rating,Movie_Name,Movie_imdb_id,Movie_Date,Movie_Length,Rated,Movie_Overview,Plot,"
          "Movie_Actors,Movie_Genres,Movie_VoteAvg,imdbVotes\n")  # fmt: skip


def folder(root: Path, **files: str | bytes) -> Path:
    root.mkdir(exist_ok=True)
    contents: dict[str, str | bytes] = {"movies": MOVIES, "links": LINKS, "ratings": RATINGS, **files}
    for name, content in contents.items():
        path = root / f"{name}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def details(root: Path, *rows: str, encoding: str = "utf-8") -> Path:
    (root / "films").mkdir(exist_ok=True)
    (root / "films" / "movies_1.csv").write_bytes((HEADER + "".join(f"{row}\n" for row in rows)).encode(encoding))
    return root


def loaded(root: Path) -> Catalogue:
    return import_movielens(root, clock=CLOCK)


def reasons(catalogue: Catalogue, source: str) -> list[str]:
    frame = catalogue.quarantine
    return frame.loc[frame[Quarantine.SOURCE] == source, Quarantine.REASON].tolist()


@pytest.fixture(scope="module")
def real(real_data: Path) -> Catalogue:
    return loaded(real_data)


def test_real_files_are_accounted_for_row_by_row(real: Catalogue) -> None:
    report = ImportReport.from_manifest(real.manifest)
    assert report.balanced
    assert (len(real.films), len(real.interactions), len(real.users)) == (9125, 100_004, 671)
    read = {file.name: file.read for file in report.files}
    assert (read["movies.csv"], read["links.csv"], read["ratings.csv"], read["tags.csv"]) == (9125, 9125, 100_004, 1296)
    assert read["keywords.csv.zip"] == 46_419
    assert sum(rows for name, rows in read.items() if name.startswith("films/")) == 8581
    refused = real.quarantine[real.quarantine[Quarantine.FIELD] == ""]
    assert len(refused) == sum(sum(file.refused.values()) for file in report.files)


def test_real_ratings_arrive_unchanged(real: Catalogue, real_data: Path) -> None:
    raw = pd.read_csv(real_data / "ratings.csv").sort_values(["userId", "timestamp", "movieId"])
    found = real.interactions
    assert found[Interaction.USER].astype(int).tolist() == raw["userId"].tolist()
    assert found[Interaction.FILM].astype(int).tolist() == raw["movieId"].tolist()
    assert found[Interaction.VALUE].tolist() == raw["rating"].tolist()
    assert (found[Interaction.TS].astype("int64") // 10**6).tolist() == raw["timestamp"].tolist()


def test_real_films_have_what_their_sources_say(real: Catalogue) -> None:
    toy = real.films.iloc[real.film_row("1")]
    assert toy[Film.TITLE] == "Toy Story"
    assert toy[Film.DIRECTORS] == ["John Lasseter"]
    assert "jealousy" in toy[Film.KEYWORDS]
    assert toy[Film.AGE_RATING] == "G"
    assert (toy[Film.RUNTIME_MIN], toy[Film.COLLECTION]) == (81, "Toy Story Collection")
    assert real.films.iloc[real.film_row("2571")][Film.TITLE] == "The Matrix"
    assert (real.films[Film.SYNOPSIS] != "").sum() > 3000
    assert (real.films[Film.KEYWORDS].str.len() > 0).sum() > 8000
    assert (real.films[Film.GENRES].str.len() == 0).sum() <= 18
    assert set(real.films[Film.AGE_RATING]) <= {"", "G", "PG", "PG-13", "R", "NC-17", "TV-Y", "TV-G", "TV-PG", "TV-14",
                                                "TV-MA"}  # fmt: skip
    assert real.manifest["votes_as_of"] is not None


def test_real_texts_hold_no_mojibake(real: Catalogue) -> None:
    cells = [*real.films[Film.SYNOPSIS], *(name for names in real.films[Film.CAST] for name in names)]
    text = "\n".join(cells)
    assert repair(text) == text
    assert "â€" not in text
    assert "‚Ä" not in text
    assert "Ciarán Hinds" in text


def test_real_catalogue_survives_the_disk(real: Catalogue, home: Paths) -> None:
    save_catalogue(real, home)
    again = load_catalogue(home)
    for part in ("films", "users", "interactions", "quarantine"):
        pd.testing.assert_frame_equal(getattr(real, part), getattr(again, part))


def test_import_of_the_same_folder_gives_the_same_snapshot(tmp_path: Path) -> None:
    root = folder(tmp_path / "m")
    later = import_movielens(root, clock=FrozenClock(datetime(2027, 1, 1, tzinfo=UTC)))
    assert loaded(root).snapshot_id == later.snapshot_id


def test_import_without_optional_files(tmp_path: Path) -> None:
    catalogue = loaded(folder(tmp_path / "m"))
    assert catalogue.films[Film.TITLE].tolist() == ["Toy Story", "The Matrix"]
    assert catalogue.films[Film.RELEASE_DATE].dt.strftime("%F").tolist() == ["1995-01-01", "1999-01-01"]
    assert catalogue.films[Film.GENRES].tolist() == [["Animation", "Comedy"], []]
    assert catalogue.users[User.ID].tolist() == ["1", "10"]
    assert set(catalogue.users[User.REGION]) == {"US"}
    assert catalogue.user("1")[User.JOINED_AT] == pd.Timestamp(1_000_000_000, unit="s", tz="UTC")
    assert ImportReport.from_manifest(catalogue.manifest).balanced


def test_import_merges_rows_of_a_film_by_completeness_and_never_reads_the_mean_rating(tmp_path: Path) -> None:
    root = details(
        folder(tmp_path / "m"),
        "1,862,3.9,toy story,,,,G,,A plot.,[],[],,",
        "1,862,3.9,toy story,,11/22/1995,81,pg,Toys live.,,\"['Tom Hanks', 'Tim Allen']\",['Comedy'],7.7,\"720,659\"",
    )
    catalogue = loaded(root)
    toy = catalogue.films.iloc[0]
    assert (toy[Film.SYNOPSIS], toy[Film.AGE_RATING]) == ("Toys live.", "PG")
    assert toy[Film.CAST] == ["Tom Hanks", "Tim Allen"]
    assert (toy[Film.VOTE_AVERAGE], toy[Film.VOTE_COUNT], toy[Film.RUNTIME_MIN]) == (7.7, 720_659, 81)
    assert toy[Film.RELEASE_DATE] == pd.Timestamp(1995, 11, 22)
    assert toy[Film.GENRES] == ["Animation", "Comedy"]
    report = ImportReport.from_manifest(catalogue.manifest).file("films/movies_1.csv")
    assert (report.loaded, report.merged) == (2, 1)


def test_import_refuses_film_rows_nobody_can_place(tmp_path: Path) -> None:
    root = details(folder(tmp_path / "m"), ",,,x,,,,,,,,,,", "77,,,x,,,,,,,,,,", ",99,,x,,,,,,,,,,",
                   ",,,x,133093,,,,,,,,,", "1,863,,x,,,,,,,,,,", ",603,,x,,,,,,,,,,",
                   ",,,the matrix,133093,,,,,,,,,")  # fmt: skip
    catalogue = loaded(root)
    assert reasons(catalogue, "films/movies_1.csv") == [
        "no identifier", "movieId is not in movies.csv", "tmdbId is not in links.csv",
        "only an imdbId, and it names no film of links.csv with this title", "tmdbId contradicts links.csv",
    ]  # fmt: skip
    assert ImportReport.from_manifest(catalogue.manifest).file("films/movies_1.csv").loaded == 2


def test_import_leaves_broken_fields_empty_and_keeps_the_row(tmp_path: Path) -> None:
    root = details(folder(tmp_path / "m"), "1,862,,toy story,,32/1/1995,-3,12A,Toys.,,['Kate O'Grady'],[],99,many")
    catalogue = loaded(root)
    toy = catalogue.films.iloc[0]
    assert (toy[Film.SYNOPSIS], toy[Film.CAST], toy[Film.AGE_RATING]) == ("Toys.", [], "")
    repairs = catalogue.quarantine[catalogue.quarantine[Quarantine.FIELD] != ""]
    assert set(repairs[Quarantine.FIELD]) == {Film.RELEASE_DATE, Film.RUNTIME_MIN, Film.AGE_RATING, Film.CAST,
                                              Film.VOTE_AVERAGE, Film.VOTE_COUNT}  # fmt: skip
    assert ImportReport.from_manifest(catalogue.manifest).balanced


def test_import_never_executes_a_list_cell(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    root = details(folder(tmp_path / "m"), f"1,862,,toy story,,,,,,,\"[open('{mark}', 'w').write('x')]\",[],,")
    assert loaded(root).films.iloc[0][Film.CAST] == []
    assert not mark.exists()


def test_import_keeps_hostile_titles_as_text(tmp_path: Path) -> None:
    movies = ("movieId,title,genres\n1,<script>alert(1)</script> (1995),Drama\n2,**b** \u202etxt\x07 (1999),Drama\n"
              "3,,Drama\n1,Again (2001),Drama\nx,No id (2001),Drama\n4,Too,many,cells\n")  # fmt: skip
    catalogue = loaded(folder(tmp_path / "m", movies=movies))
    assert catalogue.films[Film.TITLE].tolist() == ["<script>alert(1)</script>", "**b** txt"]
    assert reasons(catalogue, "movies.csv") == [
        "wrong number of columns", "control characters removed", "bidirectional marks removed", "title missing",
        "movieId occurs twice", "movieId is not a whole number",
    ]  # fmt: skip
    assert ImportReport.from_manifest(catalogue.manifest).balanced


def test_import_refuses_ratings_that_can_not_count(tmp_path: Path) -> None:
    ratings = RATINGS + ("1,77,3,1000000000\n1,1,5.5,1000000000\n1,1,nan,1000000000\n1,1,3,0\n1,1,3,9999999999\n"
                         "1,1,3,1e400\n,1,3,1000000000\n1,1,3,soon\n10,1,2,1000000500\n")  # fmt: skip
    catalogue = loaded(folder(tmp_path / "m", ratings=ratings))
    assert len(catalogue.interactions) == 3
    assert catalogue.history("10")[Interaction.VALUE].tolist() == [2.0]
    assert sorted(reasons(catalogue, "ratings.csv")) == sorted(
        ["unknown film", "value out of range", "value is not a number", "timestamp before 1990",
         "timestamp in the future", "timestamp missing or not a time", "unknown user",
         "timestamp missing or not a time", "the same user rated the same film later"]
    )  # fmt: skip


def test_import_keeps_tags_out_and_counts_them(tmp_path: Path) -> None:
    catalogue = loaded(folder(tmp_path / "m", tags="userId,movieId,tag,timestamp\n1,1,pixar,1\n1,77,x,1\n"))
    report = ImportReport.from_manifest(catalogue.manifest).file("tags.csv")
    assert (report.read, report.loaded, sum(report.set_aside.values()), sum(report.refused.values())) == (2, 0, 1, 1)
    shown = {file["file"]: file for file in ImportReport.from_manifest(catalogue.manifest).to_dict()["files"]}
    assert (shown["tags.csv"]["read"], shown["tags.csv"]["quarantined"]) == (2, 1)
    assert catalogue.films.iloc[0][Film.KEYWORDS] == []


def test_import_reads_keywords_from_a_zip_archive(tmp_path: Path) -> None:
    root = folder(tmp_path / "m")
    with zipfile.ZipFile(root / "keywords.csv.zip", "w") as archive:
        archive.writestr("keywords.csv", "id,keywords\n862,\"[{'id': 1, 'name': 'Toy'}]\"\n5,[]\n603,[broken\n")
    catalogue = loaded(root)
    assert catalogue.films.iloc[0][Film.KEYWORDS] == ["toy"]
    report = ImportReport.from_manifest(catalogue.manifest).file("keywords.csv.zip")
    assert (report.loaded, sum(report.set_aside.values()), sum(report.refused.values())) == (1, 1, 1)


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"", b"not a zip"])
def test_import_names_a_broken_archive(tmp_path: Path, content: bytes) -> None:
    root = folder(tmp_path / "m")
    (root / "keywords.csv.zip").write_bytes(content)
    with pytest.raises(SchemaError, match=r"keywords\.csv\.zip is not a readable zip"):
        loaded(root)


def test_import_refuses_a_zip_bomb_before_it_unpacks(tmp_path: Path) -> None:
    root = folder(tmp_path / "m")
    with zipfile.ZipFile(root / "keywords.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keywords.csv", b"0" * 20_000_000)
    with pytest.raises(SchemaError, match="100 times"):
        loaded(root)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"movies": ""}, "movies.csv is empty"),
        ({"movies": MOVIES.encode("utf-16")}, "UTF-16"),
        ({"movies": b"\x00\x01\x02" * 900}, "not text"),
        ({"ratings": "userId,movieId,rating\n1,1,3\n"}, "ratings.csv has no column timestamp"),
        ({"links": "a;b\n"}, "links.csv has no column movieId"),
    ],
)
def test_import_names_the_file_that_can_not_be_read(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        loaded(folder(tmp_path / "m", **files))


def test_import_says_what_folder_it_needs(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="does not exist"):
        loaded(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SchemaError, match="is not a folder"):
        loaded(tmp_path / "file")
    (folder(tmp_path / "m") / "links.csv").unlink()
    with pytest.raises(SchemaError, match=r"has no links\.csv"):
        loaded(tmp_path / "m")


def test_import_reports_progress_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    import_movielens(folder(tmp_path / "m"), clock=CLOCK, progress=lambda *step: seen.append(step))
    assert [name for name, _, _ in seen] == ["movies.csv", "links.csv", "ratings.csv"]
    assert seen[-1][1:] == (3, 3)


DIRT = st.sampled_from(["", "nan", "-1", "9e99", "\u202e", "x" * 300, "[", "'", "\x00", "é", "1,2", "1|2", "1970", "1"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.lists(DIRT, min_size=1, max_size=30))
def test_import_accounts_for_every_row_whatever_the_dirt(tmp_path: Path, seed: int, dirt: list[str]) -> None:
    dice = random.Random(seed)

    def dirty(text: str) -> bytes:
        rows = [line.split(",") for line in text.strip().split("\n")]
        rows += [list(dice.choice(rows[1:])) for _ in range(6)]
        for word in dirt:
            row = dice.choice(rows[1:])
            row[dice.randrange(len(row))] = word
        return "\n".join(",".join(row) for row in rows).encode()

    detail_rows = HEADER + "1,862,3,toy story,,11/22/1995,81,G,Toys,,['A'],[],7,9\n,,,,,,,,,,,,,\n"
    root = folder(tmp_path / "m", movies=dirty(MOVIES.replace('"', "").replace("Matrix, The", "Matrix")),
                  links=dirty(LINKS), ratings=dirty(RATINGS))  # fmt: skip
    (root / "films").mkdir(exist_ok=True)
    (root / "films" / "movies_1.csv").write_bytes(dirty(detail_rows))
    catalogue = loaded(root)
    report = ImportReport.from_manifest(catalogue.manifest)
    assert report.balanced
    assert report.file("movies.csv").loaded == len(catalogue.films)
    assert report.file("ratings.csv").loaded == len(catalogue.interactions)
    refused = catalogue.quarantine[catalogue.quarantine[Quarantine.FIELD] == ""]
    assert len(refused) == sum(sum(file.refused.values()) for file in report.files)


@pytest.mark.parametrize(
    ("raw", "text", "encoding"),
    [
        ("Matías, naïve".encode(), "Matías, naïve", UTF8),
        ("\ufeffid".encode(), "id", UTF8),
        ("Matías".encode().decode("latin-1").encode(), "Matías", UTF8),
        (b"Lem\xf3n \xe2\x80\x93 Sk\xc3\xa5ne", "Lemón – Skåne", MIXED),
        (b"keepin\x92 on \x85", "keepin’ on …", MIXED),
        ("It’s – “Påth” é".encode().decode("mac-roman").encode("cp1252", "replace"), "It’s – “Påth” é", MAC_DAMAGED),
        (b"ends with half a letter \xc3", "ends with half a letter Ã", MIXED),
        ("CAFÉ’S, „Ärger“, 50 ¬ ? ©".encode(), "CAFÉ’S, „Ärger“, 50 ¬ ? ©", UTF8),
    ],
)
def test_decode_undoes_only_what_the_bytes_prove(raw: bytes, text: str, encoding: str) -> None:
    assert decode(raw, "films.csv") == (text, encoding)


@given(st.text(alphabet="abc XYZ'áéíóúñüöäåçßØÆ®"), st.sampled_from(["latin-1", "cp1252"]))
def test_repair_finds_the_way_back_from_a_wrong_decoding(text: str, wrongly: str) -> None:
    try:
        wrong = text.encode().decode(wrongly)
    except UnicodeDecodeError:
        return
    assert repair(wrong) == text
    assert repair(text) == text


@given(st.lists(st.text(alphabet="ab' \\\"é,[]\n", max_size=6), max_size=4))
def test_parse_list_reads_whatever_python_writes(names: list[str]) -> None:
    assert parse_list(repr(names)) == [name.strip() for name in names if name.strip()]


@pytest.mark.parametrize(
    ("raw", "title", "second", "year"),
    [
        ("Toy Story (1995)", "Toy Story", "", 1995),
        ("Matrix, The (1999)", "The Matrix", "", 1999),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", "", 1975),
        ("Big Bang Theory, The (2007-)", "The Big Bang Theory", "", 2007),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura", "The Adventure", 1960),
        ("Léon: The Professional (a.k.a. The Professional) (Léon) (1994)", "Léon: The Professional", "Léon", 1994),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", "", 2009),
        ("Corrina, Corrina (1994)", "Corrina, Corrina", "", 1994),
        ("2001", "2001", "", None),
        ("(1995)", "(1995)", "", None),
    ],
)
def test_parse_title_finds_title_second_title_and_year(raw: str, title: str, second: str, year: int | None) -> None:
    assert parse_title(raw) == (title, second, year)


@pytest.mark.parametrize("text", ["R", " r", "r "])
def test_parse_age_rating_ignores_case_and_space(text: str) -> None:
    assert parse_age_rating(text) == ("R", 17)


@pytest.mark.parametrize("text", ["NOT RATED", "Not rated ", "UNRATED", "NR", ""])
def test_parse_age_rating_knows_unrated_in_every_spelling(text: str) -> None:
    assert parse_age_rating(text) == ("", None)


@pytest.mark.parametrize("text", ["[" * 9999, "__import__('os')", "1", "{'a': 1}", "[1]", "['a'", "x" * 300_000])
def test_parse_list_gives_none_for_what_is_no_list_of_texts(text: str) -> None:
    assert parse_list(text) is None


def test_parse_date_and_number_know_their_forms() -> None:
    assert str(parse_date("9/6/2016")) == "2016-09-06"
    assert str(parse_date("2016-09-06")) == "2016-09-06"
    assert parse_date("13/13/2016") is None
    assert parse_number("145,690") == 145_690
    assert parse_number("inf") is None
    assert parse_number("nan") is None


def test_zip_claims_of_size_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.catalogue import tables

    monkeypatch.setattr(tables, "UNPACKED_AT_MOST_BYTES", 1000)
    root = folder(tmp_path / "m")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("keywords.csv", "id,keywords\n" + "1,[]\n" * 1000)
    (root / "keywords.csv.zip").write_bytes(stream.getvalue())
    with pytest.raises(SchemaError, match="unpacks to more than"):
        loaded(root)
