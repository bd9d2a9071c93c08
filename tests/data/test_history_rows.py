"""Rows of a history: the same by seed, of the contract's schema, and in balance."""

import json
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from data.synthetic import World, WorldSpec, generate
from data.synthetic.history import HistorySpec, write_history
from data.synthetic.history.draws import CELL
from telemetry.events import DEVICES, EVENT_TYPES, SCHEMA
from workspace.columns import Event
from workspace.errors import InvalidValueError, SchemaError, StateError, UnknownError

END = date(2026, 3, 2)
SPEC = HistorySpec(users=300, weeks=4, seed=5, end=END)


def events(folder: Path) -> pa.Table:
    """All events by day, file and row."""
    return ds.dataset(sorted((folder / "events").glob("date=*/*.parquet"))).to_table()


def frame(folder: Path) -> pd.DataFrame:
    read: pd.DataFrame = events(folder).to_pandas()
    return read


@pytest.fixture(scope="module")
def small_world() -> World:
    return generate(WorldSpec(films=150, users=120, seed=3, end=END, interactions_per_user=15.0))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows") / "history"
    write_history(SPEC, folder)
    return folder


@pytest.fixture(scope="module")
def rows(history: Path) -> pd.DataFrame:
    return frame(history)


def test_history_is_the_same_by_seed_and_another_by_another(history: Path, tmp_path: Path) -> None:
    write_history(SPEC, tmp_path / "again")
    assert events(tmp_path / "again").equals(events(history))
    for part in ("truth.json", "logs/history.jsonl", "system/DE.parquet"):
        assert (tmp_path / "again" / part).read_bytes() == (history / part).read_bytes()
    write_history(HistorySpec(users=300, weeks=4, seed=6, end=END), tmp_path / "other")
    assert not events(tmp_path / "other").equals(events(history))


def test_history_is_the_same_whatever_the_workers_the_files_and_the_weeks_asked_for(tmp_path: Path) -> None:
    # Two cells: one whole, one not.
    spec = HistorySpec(users=CELL + 1_000, weeks=2, seed=9, end=END, events_per_user_week=2)
    write_history(spec, tmp_path / "one", workers=1)
    write_history(spec, tmp_path / "two", workers=2, cells_a_file=1)
    write_history(spec, tmp_path / "part", workers=1, weeks=range(1, 2))
    whole = events(tmp_path / "one")
    assert len(list((tmp_path / "two" / "events").glob("date=*/*.parquet"))) == 28
    assert events(tmp_path / "two").equals(whole)
    second = whole.slice(len(whole) - len(events(tmp_path / "part")))
    assert events(tmp_path / "part").equals(second)
    assert second.column(Event.TS)[0].as_py() >= datetime(2026, 2, 23, tzinfo=UTC)


def test_physical_history_has_the_stored_schema_and_the_same_acts(rows: pd.DataFrame, tmp_path: Path) -> None:
    write_history(SPEC, tmp_path / "physical", physical=True)
    some = next((tmp_path / "physical" / "events").glob("date=*/*.parquet"))
    assert pq.read_schema(some).equals(SCHEMA)
    stored = frame(tmp_path / "physical")
    same = [name for name in Event.CONTRACT if name not in (Event.USER, Event.TS, Event.RECEIVED_AT)]
    pd.testing.assert_frame_equal(stored[same], rows[same])
    assert (stored[Event.TS].dt.tz_localize("UTC") == rows[Event.TS]).all()
    assert stored[Event.EXTRA].isna().all()
    users = stored[Event.USER].unique()
    assert users.min() >= 0
    assert stored.groupby(Event.USER)[Event.REGION].nunique().max() == 1
    assert 0.3 < users.mean() / 2**63 < 0.7


def test_raw_history_has_the_fields_of_the_contract(history: Path) -> None:
    some = next((history / "events").glob("date=*/*.parquet"))
    schema = pq.read_schema(some)
    assert tuple(schema.names) == Event.CONTRACT
    assert schema.field(Event.TS).type == pa.timestamp("us", tz="UTC")
    assert schema.field(Event.USER).type == pa.string()
    assert schema.field(Event.POSITION).type == pa.int16()


def test_rows_lie_in_the_file_of_their_day_by_user_and_time(history: Path) -> None:
    for path in sorted((history / "events").glob("date=*/*.parquet")):
        part = pq.read_table(path).to_pandas()
        assert set(part[Event.TS].dt.strftime("date=%Y-%m-%d")) == {path.parent.name}
        order = part.sort_values([Event.USER, Event.TS], kind="stable").index
        assert (order == part.index).all()


def test_events_obey_the_contract(rows: pd.DataFrame) -> None:
    kind = rows[Event.TYPE]
    assert rows[Event.ID].is_unique
    assert rows[Event.ID].str.len().max() <= 128
    assert set(kind) == set(EVENT_TYPES)
    assert set(rows[Event.DEVICE]) == set(DEVICES)
    named = kind.isin(["impression", "click", "focus", "thumbs_down"])
    assert rows.loc[named, [Event.FILM, Event.POSITION, Event.SLATE]].notna().all(axis=None)
    assert rows.loc[~named, [Event.FILM, Event.POSITION]].isna().all(axis=None)
    assert rows.loc[kind == "refresh", Event.SLATE].notna().all()
    assert (rows[Event.VALUE].notna() == kind.isin(["focus", "survey"])).all()
    assert set(rows.loc[kind == "survey", Event.VALUE]) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    dwell = rows.loc[kind == "focus", Event.VALUE]
    assert dwell.between(0, 600).all()
    # Log-normal: the logarithm is about symmetric, the seconds are not.
    positive = dwell[dwell > 0]
    assert positive.skew() > 2 > abs(np.log(positive).skew())
    assert (rows[Event.EXPERIMENT].isna() == rows[Event.VARIANT].isna()).all()


def test_a_slate_shows_five_films_in_order_and_acts_are_on_what_it_showed(rows: pd.DataFrame) -> None:
    shown = rows[rows[Event.TYPE] == "impression"]
    slates = shown.groupby(Event.SLATE)
    assert (slates[Event.POSITION].apply(list).apply(lambda places: places == [1, 2, 3, 4, 5])).all()
    assert (slates[Event.FILM].nunique() == 5).all()
    assert slates[Event.TRANSACTION].nunique().max() == 1
    key = [Event.SLATE, Event.FILM, Event.POSITION]
    at = shown.set_index(key)[Event.TS]
    for kind in ("click", "focus", "thumbs_down"):
        acts = rows[rows[Event.TYPE] == kind]
        assert len(acts)
        assert not acts.duplicated([Event.SLATE, Event.FILM]).any()
        when = acts.join(at.rename("shown"), on=key)
        assert when["shown"].notna().all()
        assert (when[Event.TS] > when["shown"]).all()
    assert rows.groupby(Event.SESSION)[[Event.USER, Event.DEVICE]].nunique().max().tolist() == [1, 1]


def test_few_events_come_late_and_none_before_it_happened(rows: pd.DataFrame) -> None:
    delay = (rows[Event.RECEIVED_AT] - rows[Event.TS]).dt.total_seconds()
    assert delay.min() >= 0
    assert delay.median() < 5
    assert 0.001 < (delay > 120).mean() < 0.01
    assert delay.max() <= timedelta(days=3).total_seconds()
    assert rows[Event.RECEIVED_AT].max() <= pd.Timestamp(END, tz="UTC")


def test_history_of_a_world_has_its_users_films_and_laws(small_world: World, tmp_path: Path) -> None:
    report = write_history(HistorySpec(weeks=4, end=END), tmp_path / "world", world=small_world)
    rows = frame(tmp_path / "world")
    assert report.users == 120
    users = small_world.users.set_index("user_id")
    assert set(rows[Event.USER]) <= set(users.index)
    assert (rows[Event.REGION] == rows[Event.USER].map(users["region"])).all()
    assert (rows[Event.TS].dt.floor("D") >= rows[Event.USER].map(users["joined_at"]).dt.floor("D")).all()
    shown = rows[rows[Event.TYPE] == "impression"].join(small_world.films.set_index("film_id"), on=Event.FILM)
    assert shown["title"].notna().all()
    assert (shown[Event.TS].dt.tz_localize(None) >= shown["release_date"]).all()
    excluded = shown[Event.USER].map(users["excluded_genres"])
    for region, sold, blocked, genres, refused in zip(
        shown[Event.REGION],
        shown["available_regions"],
        shown["blocked_regions"],
        shown["genres"],
        excluded,
        strict=True,
    ):
        assert region not in blocked
        assert not sold or region in sold
        assert not set(genres) & set(refused)


def test_slates_stay_short_and_lawful_when_little_is_allowed(tmp_path: Path) -> None:
    world = generate(WorldSpec(films=8, users=60, seed=4, end=END, blocked_share=0.5, partial_share=0.5))
    write_history(HistorySpec(weeks=2, end=END), tmp_path / "few", world=world)
    rows = frame(tmp_path / "few")
    shown = rows[rows[Event.TYPE] == "impression"].join(world.films.set_index("film_id"), on=Event.FILM)
    slates = shown.groupby(Event.SLATE)
    assert 1 <= slates.size().min() < 5
    assert (slates[Event.POSITION].max() == slates.size()).all()
    assert (slates[Event.FILM].nunique() == slates.size()).all()
    excluded = world.users.set_index("user_id")["excluded_genres"]
    for row in shown.itertuples():
        assert row.region not in row.blocked_regions
        assert not row.available_regions or row.region in row.available_regions
        assert not set(row.genres) & set(excluded[row.user_id])


def slates_of(world: World, made_at: list[datetime]) -> pd.DataFrame:
    films = world.films["film_id"].tolist()
    return pd.DataFrame(
        {
            "slate_id": [f"slate_r{row}" for row in range(len(made_at))],
            "user_id": [world.users["user_id"][row // 2] for row in range(len(made_at))],
            "made_at": made_at,
            "film_ids": [films[7 * row : 7 * row + 3 + row] for row in range(len(made_at))],
            "index_version": "real-1",
            "transaction_id": [f"txn_r{row}" for row in range(len(made_at))],
            "region": "US",
        }
    )


def test_real_slates_are_shown_as_they_were_made_in_the_last_visit(small_world: World, tmp_path: Path) -> None:
    inside, after = datetime(2026, 2, 20, 9, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    slates = slates_of(small_world, [inside, inside + timedelta(seconds=1), after, after])
    write_history(HistorySpec(weeks=4, end=END), tmp_path / "real", world=small_world, slates=slates)
    rows = frame(tmp_path / "real")
    shown = rows[(rows[Event.TYPE] == "impression") & rows[Event.SLATE].isin(slates["slate_id"])]
    for slate in slates.itertuples():
        mine = shown[shown[Event.SLATE] == slate.slate_id]
        assert mine[Event.FILM].tolist() == slate.film_ids
        assert mine[Event.POSITION].tolist() == list(range(1, len(slate.film_ids) + 1))
        assert set(mine[Event.USER]) == {slate.user_id}
        assert set(mine[Event.INDEX_VERSION]) == {"real-1"}
        assert set(mine[Event.TRANSACTION]) == {slate.transaction_id}
    first = shown[shown[Event.SLATE] == "slate_r0"][Event.TS].iloc[0]
    assert abs(first - pd.Timestamp(inside)) < pd.Timedelta(seconds=1)
    # Made after the history: nothing of that user comes after.
    user = rows[rows[Event.USER] == slates["user_id"][2]]
    assert user[Event.SESSION].iloc[-1] == user[user[Event.SLATE] == "slate_r3"][Event.SESSION].iloc[0]
    assert rows[Event.ID].is_unique
    lines = [json.loads(line) for line in (tmp_path / "real/logs/history.jsonl").read_text().splitlines()]
    assert {f"txn_r{row}" for row in range(4)} <= {line["transaction_id"] for line in lines}


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"film_ids": [["f9999999"]]}, UnknownError, "f9999999"), ({"user_id": ["nobody"]}, UnknownError, "nobody"),
        ({"film_ids": [[]]}, SchemaError, "empty"), ({"made_at": None}, SchemaError, "made_at"),
    ],
)  # fmt: skip
def test_slates_of_another_world_are_refused(
    small_world: World, tmp_path: Path, change: dict[str, Any], error: type[Exception], match: str
) -> None:
    slates = slates_of(small_world, [datetime(2026, 3, 4, tzinfo=UTC)]).assign(**change)
    slates = slates.drop(columns=[name for name, value in change.items() if value is None])
    with pytest.raises(error, match=match):
        write_history(HistorySpec(weeks=1, end=END), tmp_path / "no", world=small_world, slates=slates)


def test_write_refuses_what_it_can_not_mean_and_leaves_nothing(small_world: World, tmp_path: Path) -> None:
    spec = HistorySpec(users=20, weeks=2, end=END)
    slates = slates_of(small_world, [datetime(2026, 3, 4, tzinfo=UTC)])
    wrong: list[dict[str, Any]] = [
        {"slates": slates}, {"weeks": range(2, 3)}, {"weeks": range(0, 2, 2)}, {"workers": 0}, {"cells_a_file": 0},
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(InvalidValueError, match=next(iter(arguments))):
            write_history(spec, tmp_path / "no", **arguments)
    with pytest.raises(StateError, match="exists"):
        write_history(spec, tmp_path)

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{stage} {done} of {total}")

    with pytest.raises(KeyboardInterrupt):
        write_history(spec, tmp_path / "no", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_history_of_one_user_can_be_written(tmp_path: Path) -> None:
    report = write_history(HistorySpec(users=1, weeks=1, films=20, end=END), tmp_path / "one")
    assert report.days == 7
    left_out = json.loads((tmp_path / "one/truth.json").read_text())["left_out"]
    assert {line.split(":")[0] for line in left_out} >= {"bots", "click_farm", "exp_aa"}
    assert report.events == sum(len(pq.read_table(path)) for path in (tmp_path / "one/events").glob("*/*.parquet"))


def test_memory_does_not_grow_with_users(tmp_path: Path) -> None:
    peaks = []
    for cells in (1, 3):
        tracemalloc.start()
        spec = HistorySpec(users=cells * CELL, weeks=1, end=END, recent_step_min=60, events_per_user_week=6)
        report = write_history(spec, tmp_path / str(cells), workers=1, cells_a_file=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert report.peak_rss_mb < 2_048
