"""SIGKILL at random moments of ingestion: every event counts once all the same."""

from pathlib import Path

import pytest

from benchmarks.bench_ingest import marathon

KILLS = 18


@pytest.mark.kill
def test_killed_at_random_moments_every_event_counts_once(tmp_path: Path) -> None:
    done = marathon(tmp_path, events=60_000, kills=KILLS, chunk_rows=1_500)
    assert done["found"] == done["truth"]
    assert done["exact"]  # by day and type too
    # The kills did strike: nearly all before the work was done, some between the files and the transaction.
    assert done["kills"] >= KILLS - 5
    assert done["transactions"] >= 30
    assert done["kills_in_the_middle_of_a_transaction"] >= 1
