"""What is withheld, that it can't be had from what is shown, and what retention deletes."""

import datetime as dt
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from telemetry.parts import PartLog
from telemetry.privacy import AccessRow, Purpose, hidden_rows, record_access, retain, suppress
from telemetry.rollups import roll_up
from telemetry.warehouse.embedded import EmbeddedWarehouse
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

K = 10


def table(counts: dict[tuple[str, ...], int], dims: list[str], acts: dict[tuple[str, ...], int] | None = None) -> Any:
    """A frame of cells and their users."""
    frame = pd.DataFrame(list(counts), columns=dims)
    frame["n"] = list(counts.values())
    frame["acts"] = [(acts or counts)[cell] for cell in counts]
    return frame


def shown(frame: pd.DataFrame, dims: list[str], **options: Any) -> set[tuple[str, ...]]:
    kept, _ = suppress(frame, dims, K, users="n", positives="acts", **options)
    return set(kept[dims].itertuples(index=False, name=None))


def test_suppress_withholds_nothing_where_all_are_many() -> None:
    frame = table({("US",): 900, ("FR",): 10}, ["region"])
    assert shown(frame, ["region"]) == {("US",), ("FR",)}


def test_suppress_withholds_a_second_row_beside_a_small_one() -> None:
    frame = table({("US",): 900, ("FR",): 80, ("KG",): 3, ("UZ",): 40}, ["region"])
    assert shown(frame, ["region"]) == {("US",), ("FR",)}


def test_suppress_withholds_more_until_those_withheld_are_many_together() -> None:
    frame = table({("a",): 2, ("b",): 3, ("c",): 11, ("d",): 90}, ["region"])
    # Two rows of five users together: their sum, had by subtraction, is about fewer than ten.
    assert shown(frame, ["region"]) == {("d",)}


def test_suppress_withholds_rare_acts_but_not_their_absence() -> None:
    counts = {("a",): 500, ("b",): 500, ("c",): 500, ("d",): 500}
    frame = table(counts, ["region"], {("a",): 4, ("b",): 0, ("c",): 60, ("d",): 70})
    # A region where nobody acted adds nobody to the four: the next smallest that does goes too.
    assert ("a",) not in shown(frame, ["region"])
    assert ("d",) in shown(frame, ["region"])
    assert shown(table(counts, ["region"], dict.fromkeys(counts, 0)), ["region"]) == set(counts)


def test_suppress_completes_every_line_of_a_table() -> None:
    regions, devices = ["US", "FR", "DE"], ["web", "ios", "tv"]
    counts = {cell: 100 + 7 * number for number, cell in enumerate(product(regions, devices))}
    counts["FR", "tv"] = 4
    kept = shown(table(counts, ["region", "device"]), ["region", "device"])
    for line in [[(region, device) for device in devices] for region in regions]:
        assert sum(cell not in kept for cell in line) != 1
    for line in [[(region, device) for region in regions] for device in devices]:
        assert sum(cell not in kept for cell in line) != 1


def test_suppress_completes_regions_within_their_market() -> None:
    counts = {("US",): 400, ("CA",): 5, ("FR",): 60, ("DE",): 70}
    frame = table(counts, ["region"]).assign(market=["am", "am", "eu", "eu"])
    # The market's total less the United States would be Canada, so these two go and not the smallest region.
    assert shown(frame, ["region"], parents={"region": "market"}) == {("FR",), ("DE",)}


def test_suppress_withholds_what_adds_up_to_a_total_withheld() -> None:
    counts = {
        ("KG", "web"): 6,
        ("KG", "tv"): 3,
        ("UZ", "web"): 30,
        ("UZ", "tv"): 25,
        ("US", "web"): 500,
        ("US", "tv"): 400,
    }
    frame = table(counts, ["region", "device"])
    # Kyrgyzstan has nine users, so Uzbekistan is withheld from the table of regions, and so are its rows here.
    assert shown(frame, ["region", "device"]) == {("US", "web"), ("US", "tv")}


def test_suppress_withholds_everything_about_too_few() -> None:
    frame = table({("a",): 4, ("b",): 5}, ["region"])
    assert shown(frame, ["region"]) == set()
    assert suppress(frame, ["region"], K, users="n")[1] == 2


def test_suppress_needs_a_threshold_of_two() -> None:
    with pytest.raises(InvalidValueError, match="k == 1"):
        suppress(table({("a",): 4}, ["region"]), ["region"], 1, users="n")


CELLS = list(product(("US", "CA", "FR", "DE"), ("web", "ios", "tv")))
MARKETS = {"US": "am", "CA": "am", "FR": "eu", "DE": "eu"}
COUNTS = st.lists(st.integers(1, 40), min_size=len(CELLS), max_size=len(CELLS))


def published(counts: dict[tuple[str, str], int], dims: tuple[str, ...]) -> tuple[dict[Any, int], set[Any]]:
    """What one question by some dimensions gives, and what it withholds."""
    cells = pd.DataFrame([(*cell, MARKETS[cell[0]], n) for cell, n in counts.items()],
                         columns=["region", "device", "market", "n"])  # fmt: skip
    if not dims:
        total = int(cells["n"].sum())
        return ({(): total}, set()) if total >= K else ({}, {()})
    keys = [*dims, *(["market"] if "region" in dims and "market" not in dims else [])]
    frame = cells.groupby(keys, sort=False)["n"].sum().reset_index()
    hidden = hidden_rows(frame, list(dims), K, users="n", parents={"region": "market"})
    rows = list(zip(frame[list(dims)].itertuples(index=False, name=None), frame["n"], hidden, strict=True))
    return {key: n for key, n, gone in rows if not gone}, {key for key, _, gone in rows if gone}


# A table is thousands of pandas calls: a failure is shown as it was found.
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(COUNTS)
def test_no_withheld_row_follows_from_everything_published(numbers: list[int]) -> None:
    """All tables a reader can ask for are linear equations in the cells: no withheld sum may be determined by them."""
    counts = dict(zip(CELLS, numbers, strict=True))
    tables = [(), ("region",), ("market",), ("device",), ("region", "device"), ("market", "device")]
    known, secret = [], []
    for dims in tables:
        given_out, withheld = published(counts, dims)
        known += [indicator(dims, key) for key in given_out]
        secret += [indicator(dims, key) for key in withheld]
    equations = np.array(known, dtype=float).reshape(len(known), len(CELLS))
    rank = np.linalg.matrix_rank(equations) if known else 0
    for row in secret:
        assert np.linalg.matrix_rank(np.vstack([equations, row])) > rank


def indicator(dims: tuple[str, ...], key: tuple[str, ...]) -> list[float]:
    """Which cells a row of a table adds up."""
    wanted = dict(zip(dims, key, strict=True))
    values = ({"region": region, "device": device, "market": MARKETS[region]} for region, device in CELLS)
    return [float(all(cell[dim] == value for dim, value in wanted.items())) for cell in values]


def test_record_access_keeps_who_asked_what_and_why(home: Paths) -> None:
    store = Store.open(Settings(home=home.home))
    clock = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
    record_access(store, clock, actor="ann", purpose=Purpose.AUDIT, question={"metric": "ctr"}, rows=3, suppressed=1)
    with store.reading() as session:
        row = session.scalars(select(AccessRow)).one()
        assert (row.actor, row.purpose, row.question, row.rows, row.suppressed) == (
            "ann", "audit", {"metric": "ctr"}, 3, 1,
        )  # fmt: skip


def test_retain_deletes_old_days_with_their_files_and_tells_the_ledger(home: Paths) -> None:
    store = Store.open(Settings(home=home.home))
    clock = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
    parts, ledger = PartLog(store, home, clock), Ledger(store, clock)
    lay(parts, history(users=40, days=9))
    warehouse = EmbeddedWarehouse(parts)
    roll_up(parts, warehouse, clock)
    gone = [part.path for part in parts.parts("events", end=START + dt.timedelta(days=3))]
    # Kept for 14 days on the 20th: the 6th is the oldest day left.
    assert retain(parts, 14, clock, ledger) == len(gone) == 4
    assert parts.dates("events")[0] == dt.date(2026, 3, 6)
    assert not any(path.exists() for path in gone)
    assert ledger.entries()[0].details == {"first": "2026-03-02", "last": "2026-03-05", "rows": sum_rows(store, gone)}
    report = roll_up(parts, warehouse, clock)
    assert len(report.dropped) == 4
    assert parts.dates("user_day")[0] == dt.date(2026, 3, 6)
    left = warehouse.query("SELECT SUM(events) AS n FROM BUCKET_WEEK WHERE cut = 0")["n"].iloc[0]
    assert left == warehouse.query("SELECT COUNT(*) AS n FROM EVENTS")["n"].iloc[0]
    assert retain(parts, 14, clock, ledger) == 0


def sum_rows(store: Store, paths: list[Any]) -> int:
    from telemetry.parts import PartRow

    with store.reading() as session:
        rows = session.scalars(select(PartRow)).all()
        return sum(row.rows for row in rows if any(path.name in row.path for path in paths))
