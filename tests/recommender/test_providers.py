import json
import os
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommender.catalogue import Catalogue, QuarantineLog
from recommender.providers import (
    FileProvider,
    ProviderFailure,
    ProviderFeed,
    Reconciled,
    fetch_all,
    file_providers,
    film_provenance,
    import_providers,
    reconcile,
)
from recommender.providers.screening import screen_feed
from tests.recommender.catalogue_frames import NOW, interactions, users
from workspace.clock import FrozenClock
from workspace.columns import Film, Provenance, Quarantine
from workspace.errors import SchemaError, StateError, UnknownError
from workspace.paths import Paths

HOUR = timedelta(hours=1)
BASE = {Film.ID: "1", Film.TITLE: "Up", Film.RELEASE_DATE: "2009-05-29", Film.GENRES: ["Drama"]}


class Fixed:
    """A provider that delivers what it was given, or fails."""

    def __init__(self, name: str, feed: ProviderFeed | Exception) -> None:
        self.name = name
        self.feed = feed

    def fetch(self) -> ProviderFeed:
        if isinstance(self.feed, Exception):
            raise self.feed
        return self.feed


def feed(provider: str, *rows: dict[str, Any], at: datetime = NOW) -> ProviderFeed:
    return ProviderFeed(provider=provider, frame=pd.DataFrame([{**BASE, **row} for row in rows]), updated_at=at)


def many(provider: str, numbers: range, at: datetime = NOW) -> ProviderFeed:
    return feed(provider, *({Film.ID: str(n), Film.TITLE: f"Film {n}"} for n in numbers), at=at)


def one(*feeds: ProviderFeed | ProviderFailure) -> dict[str, Any]:
    (row,) = reconcile(feeds, now=NOW).films.to_dict("records")
    return row


def disputes(found: Reconciled) -> dict[str, tuple[str, bool, str]]:
    rows = found.provenance.to_dict("records")
    return {r[Provenance.FIELD]: (r[Provenance.PROVIDER], r[Provenance.AGREED], r[Provenance.OTHER_VALUE])
            for r in rows}  # fmt: skip


def catalogue_of(*feeds: ProviderFeed | Exception, previous: Catalogue | None = None, **options: Any) -> Catalogue:
    providers = [Fixed(f.provider if isinstance(f, ProviderFeed) else "boreal", f) for f in feeds]
    return import_providers(providers, users("7"), interactions(), clock=FrozenClock(NOW), previous=previous, **options)


def test_reconcile_takes_the_freshest_statement_and_keeps_what_the_other_said() -> None:
    old = feed("aurora", {Film.SYNOPSIS: "Old words.", Film.RUNTIME_MIN: 90}, at=NOW - HOUR)
    new = feed("boreal", {Film.SYNOPSIS: "New words.", Film.RUNTIME_MIN: 96})
    found = reconcile([old, new], now=NOW)
    assert found.films.iloc[0][Film.SYNOPSIS] == "New words."
    assert found.films.iloc[0][Film.PROVIDER] == "aurora+boreal"
    assert disputes(found) == {Film.SYNOPSIS: ("boreal", False, "aurora: Old words."),
                               Film.RUNTIME_MIN: ("boreal", False, "aurora: 90")}  # fmt: skip


def test_reconcile_prefers_the_first_provider_among_equally_fresh_ones() -> None:
    assert one(feed("aurora", {Film.TITLE: "A"}), feed("boreal", {Film.TITLE: "B"}))[Film.TITLE] == "A"


def test_reconcile_fills_what_the_freshest_does_not_state_and_says_who_spoke() -> None:
    old = feed("aurora", {Film.SYNOPSIS: "Words.", Film.VOTE_COUNT: 9}, at=NOW - HOUR)
    found = reconcile([old, feed("boreal", {Film.SYNOPSIS: "  ", Film.VOTE_COUNT: None})], now=NOW)
    assert found.films.iloc[0][Film.SYNOPSIS] == "Words."
    assert disputes(found)[Film.SYNOPSIS] == ("aurora", True, "")


@pytest.mark.parametrize(
    ("field", "one_value", "other", "agreed"),
    [
        (Film.RUNTIME_MIN, 90, 91, True),
        (Film.RUNTIME_MIN, 90, 92, False),
        (Film.VOTE_COUNT, 1000, 1049, True),
        (Film.VOTE_COUNT, 1000, 1100, False),
        (Film.TITLE, "Amélie", "AMELIE", True),
        (Film.CAST, ["A", "B"], ["b", "a"], True),
        (Film.CAST, ["A", "B"], ["A", "C"], False),
        (Film.RELEASE_DATE, "2001-01-01", "2001-01-02", False),
        (Film.RELEASE_DATE, "2001-01-01", date(2001, 1, 1), True),
    ],
)
def test_reconcile_agrees_within_tolerance(field: str, one_value: object, other: object, agreed: bool) -> None:
    found = reconcile([feed("aurora", {field: one_value}), feed("boreal", {field: other})], now=NOW)
    assert (field not in disputes(found)) is agreed


def test_reconcile_unites_genres_and_legal_blocks_but_not_where_a_film_is_sold() -> None:
    row = one(
        feed("aurora", {Film.GENRES: ["Drama"], Film.BLOCKED_REGIONS: ["DE"], Film.AVAILABLE_REGIONS: ["US"]}),
        feed("boreal", {Film.GENRES: ["drama", "War"], Film.BLOCKED_REGIONS: ["FR"],
                        Film.AVAILABLE_REGIONS: ["SE"]}, at=NOW - HOUR),
    )  # fmt: skip
    assert row[Film.GENRES] == ["Drama", "War"]
    assert row[Film.BLOCKED_REGIONS] == ["DE", "FR"]
    assert row[Film.AVAILABLE_REGIONS] == ["US"]


def test_reconcile_takes_the_stricter_age_with_its_label() -> None:
    row = one(feed("aurora", {Film.AGE_RATING: "PG", Film.MINIMUM_AGE: 7}),
              feed("boreal", {Film.AGE_RATING: "R", Film.MINIMUM_AGE: 17}, at=NOW - HOUR))  # fmt: skip
    assert (row[Film.AGE_RATING], row[Film.MINIMUM_AGE]) == ("R", 17)


def test_reconcile_does_not_depend_on_the_order_of_rows() -> None:
    left, right = many("aurora", range(9)), many("boreal", range(5, 14))
    turned = ProviderFeed(provider="aurora", frame=left.frame[::-1], updated_at=NOW)
    first = reconcile([left, right], now=NOW).films.sort_values(Film.ID, ignore_index=True)
    second = reconcile([turned, right], now=NOW).films.sort_values(Film.ID, ignore_index=True)
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({Film.ID: None}, "film_id missing"),
        ({Film.ID: "a\x00b"}, "film_id is longer than 200 characters or holds control characters"),
        ({Film.TITLE: " "}, "title missing"),
        ({Film.TITLE: "\u202e"}, "title missing"),
        ({Film.RELEASE_DATE: "2099-01-01"}, "release date more than 5 years ahead"),
        ({Film.BLOCKED_REGIONS: "[broken"}, "legal block by region can't be read"),
    ],
)
def test_screen_feed_refuses_rows_that_are_no_film(row: dict[str, Any], reason: str) -> None:
    log = QuarantineLog()
    screened = screen_feed(feed("aurora", row, {Film.ID: "2"}), now=NOW, log=log)
    assert list(screened.films) == ["2"]
    assert reason in log.refused("aurora")


def test_screen_feed_keeps_the_fresher_of_two_rows_with_one_id() -> None:
    rows = [{Film.TITLE: "Old", Film.UPDATED_AT: NOW - HOUR}, {Film.TITLE: "New", Film.UPDATED_AT: NOW},
            {Film.TITLE: "Older", Film.UPDATED_AT: NOW - 2 * HOUR}]  # fmt: skip
    log = QuarantineLog()
    screened = screen_feed(feed("aurora", *rows), now=NOW, log=log)
    assert screened.films["1"][Film.TITLE] == "New"
    assert log.frame()[Quarantine.ROW].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        (Film.RUNTIME_MIN, -5, None),
        (Film.RUNTIME_MIN, float("inf"), None),
        (Film.VOTE_AVERAGE, "many", None),
        (Film.RELEASE_DATE, "soon", None),
        (Film.RELEASE_DATE, "0001-01-01", None),
        (Film.RELEASE_DATE, 20090529, None),
        (Film.CAST, 7, None),
        (Film.CAST, "[1, 2]", None),
        (Film.CAST, ["x"] * 3 + [f"a{n}" for n in range(1100)], ["x", *(f"a{n}" for n in range(997))]),
        (Film.SYNOPSIS, "y" * 10_000_000, "y" * 20_000),
        (Film.TAGLINE, "\u202eabc\x07", "abc"),
        (Film.UPDATED_AT, "3000-01-01T00:00:00Z", NOW),
    ],
)
def test_screen_feed_repairs_single_fields_and_reports_them(field: str, value: object, kept: object) -> None:
    log = QuarantineLog()
    screened = screen_feed(feed("aurora", {field: value}), now=NOW, log=log)
    assert screened.films["1"].get(field) == kept
    rows = log.frame()
    assert set(rows[Quarantine.FIELD]) == {field}
    assert rows[Quarantine.VALUE].str.len().max() < 1000


def test_screen_feed_keeps_unknown_genres_and_html() -> None:
    log = QuarantineLog()
    screened = screen_feed(feed("aurora", {Film.GENRES: ["Solarpunk"], Film.TITLE: "<i>Up</i>"}), now=NOW, log=log)
    assert screened.films["1"][Film.GENRES] == ["Solarpunk"]
    assert screened.films["1"][Film.TITLE] == "<i>Up</i>"
    assert log.frame().empty


CELLS = st.sampled_from([None, "", "x", -1, 10**400, float("nan"), ["a"], [None], [1], "[", "2001-01-01", "\x00", b"x",
                         {"a": 1}, pd.NaT, True, "a|b", datetime(2020, 1, 1, tzinfo=UTC)])  # fmt: skip


DIRT = st.tuples(st.sampled_from(["1", "2", None, "\x00"]), st.sampled_from(Film.ALL[1:]), CELLS)


@settings(max_examples=20)
@given(st.lists(DIRT, max_size=12))
@example([("1", Film.RUNTIME_MIN, 10**400)])  # no float can hold it
def test_screen_feed_accounts_for_every_row_whatever_the_dirt(dirt: list[tuple[Any, str, Any]]) -> None:
    rows = [{**BASE, Film.ID: film, field: cell} for film, field, cell in dirt]
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in Film.ALL})
    log = QuarantineLog()
    screened = screen_feed(ProviderFeed(provider="a", frame=frame, updated_at=NOW), now=NOW, log=log)
    assert len(rows) == len(screened.films) + sum(log.refused("a").values())
    if screened.films:
        found = reconcile([ProviderFeed(provider="a", frame=frame, updated_at=NOW)], now=NOW)
        assert set(found.films[Film.ID]) == set(screened.films)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (StateError("boreal is silent"), "down: boreal is silent"),
        (OSError("no route"), "down: no route"),
        (many("boreal", range(10), at=NOW - timedelta(days=2)), "stale"),
        (many("boreal", range(3)), "truncated: 3 films after 10"),
        (many("boreal", range(0)), "schema: feed of boreal has no column"),
        (ProviderFeed(provider="boreal", frame=many("b", range(9)).frame.drop(columns=Film.GENRES), updated_at=NOW),
         "schema: feed of boreal has no column genres"),
    ],
)  # fmt: skip
def test_failover_serves_from_the_other_provider_and_says_why(bad: ProviderFeed | Exception, reason: str) -> None:
    before = catalogue_of(many("aurora", range(8)), many("boreal", range(10)))
    after = catalogue_of(many("aurora", range(8)), bad, previous=before)
    good, failed = after.manifest["providers"]
    assert (good["ok"], good["served"], failed["ok"], failed["served"]) == (True, True, False, False)
    assert reason in failed["reason"]
    assert len(after.films) == 10
    assert after.manifest["carried_over"] == 2
    # The next good delivery is measured by what it had when it was last good.
    again = catalogue_of(many("aurora", range(8)), many("boreal", range(4)), previous=after)
    assert again.manifest["providers"][1]["reason"] == "truncated: 4 films after 10"


def test_failover_accepts_a_smaller_feed_when_told_to() -> None:
    before = catalogue_of(many("aurora", range(8)), many("boreal", range(10)))
    after = catalogue_of(many("aurora", range(8)), many("boreal", range(3)), previous=before,
                         accept_smaller={"boreal"})  # fmt: skip
    assert after.manifest["providers"][1]["ok"]
    withdrawn = after.quarantine[after.quarantine[Quarantine.SOURCE] == "previous snapshot"]
    assert withdrawn[Quarantine.KEY].tolist() == ["8", "9"]


def test_stale_feeds_serve_before_nobody_does() -> None:
    found = reconcile([many("aurora", range(3), at=NOW - timedelta(days=3)),
                       ProviderFailure(provider="boreal", reason="down")], now=NOW)  # fmt: skip
    assert len(found.films) == 3
    assert [(state.ok, state.served) for state in found.status] == [(False, True), (False, False)]


def test_reconcile_without_any_usable_feed_leaves_the_last_snapshot() -> None:
    with pytest.raises(StateError, match=r"boreal: down.*last snapshot stays"):
        reconcile([ProviderFailure(provider="boreal", reason="down")], now=NOW)
    with pytest.raises(StateError, match="there is none"):
        reconcile([], now=NOW)


def test_import_providers_quarantines_interactions_of_films_nobody_delivers() -> None:
    rows = interactions(("7", "1", "rated", 4, NOW), ("7", "99", "rated", 4, NOW), ("8", "1", "rated", 4, NOW))
    found = import_providers([Fixed("aurora", feed("aurora", {}))], users("7"), rows, clock=FrozenClock(NOW))
    assert len(found.interactions) == 1
    assert found.quarantine[Quarantine.REASON].tolist() == ["unknown user", "unknown film"]


def test_film_provenance_tells_of_every_filled_field() -> None:
    found = catalogue_of(feed("aurora", {Film.TITLE: "A"}), feed("boreal", {Film.TITLE: "B"}))
    rows = film_provenance(found, "1").set_index(Provenance.FIELD)
    assert rows.loc[Film.TITLE, Provenance.OTHER_VALUE] == "boreal: B"
    assert rows.loc[Film.GENRES, Provenance.PROVIDER] == "aurora+boreal"
    assert rows.loc[Film.GENRES, Provenance.AGREED]
    assert set(rows.index) == {Film.TITLE, Film.GENRES, Film.RELEASE_DATE}
    with pytest.raises(UnknownError):
        film_provenance(found, "2")


def write(folder: Path, form: str) -> None:
    folder.mkdir(parents=True)
    row = {**BASE, Film.CAST: ["A", "B"], Film.RUNTIME_MIN: 96.0}
    line = 'film_id,title,release_date,genres,cast,runtime_min\n1,Up,2009-05-29,Drama,"[""A"", ""B""]",96\n'
    if form == "parquet":
        pd.DataFrame([row]).to_parquet(folder / "feed.parquet")
    elif form == "csv":
        (folder / "feed.csv").write_text(line)
    elif form == "zip":
        with zipfile.ZipFile(folder / "feed.zip", "w") as archive:
            archive.writestr("feed.csv", line)
    else:
        (folder / "feed.jsonl").write_text(f"{json.dumps(row)}\nnot json\n[1]\n")


@pytest.mark.parametrize("form", ["parquet", "csv", "zip", "jsonl"])
def test_file_provider_reads_each_form(home: Paths, form: str) -> None:
    write(home.providers / "aurora", form)
    (home.providers / "aurora" / "updated_at.txt").write_text("2026-05-01T11:00:00+00:00")
    (provider,) = file_providers(home)
    found = reconcile(fetch_all([provider]), now=NOW)
    row = found.films.iloc[0]
    assert (row[Film.TITLE], row[Film.CAST], row[Film.RUNTIME_MIN]) == ("Up", ["A", "B"], 96)
    assert row[Film.UPDATED_AT] == NOW - HOUR
    assert len(found.quarantine) == (2 if form == "jsonl" else 0)


def test_file_provider_reads_the_newest_file_and_its_time(home: Paths) -> None:
    write(home.providers / "aurora", "csv")
    write(home.providers / "boreal", "jsonl")
    old = home.providers / "aurora" / "older.parquet"
    old.write_bytes(b"broken")
    os.utime(old, (1, 1))
    stamp = int(NOW.timestamp())
    os.utime(home.providers / "aurora" / "feed.csv", (stamp, stamp))
    feeds = fetch_all(file_providers(home))
    assert [f.provider for f in feeds] == ["aurora", "boreal"]
    assert isinstance(feeds[0], ProviderFeed)
    assert feeds[0].updated_at == NOW


def test_file_provider_names_what_it_can_not_read(home: Paths) -> None:
    folder = home.providers / "aurora"
    folder.mkdir()
    with pytest.raises(StateError, match="aurora delivered no file"):
        FileProvider("aurora", folder).fetch()
    (folder / "feed.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(SchemaError, match=r"aurora/feed\.parquet is not Parquet"):
        FileProvider("aurora", folder).fetch()
    (failure,) = fetch_all(file_providers(home))
    assert isinstance(failure, ProviderFailure)
    (folder / "feed.parquet").unlink()
    write(home.providers / "boreal", "csv")
    (home.providers / "boreal" / "updated_at.txt").write_text("yesterday")
    with pytest.raises(SchemaError, match="ISO 8601"):
        FileProvider("boreal", home.providers / "boreal").fetch()
