"""SIGKILL at random moments of ingestion: every event counts once all the same."""

from pathlib import Path

import pytest

from benchmarks.bench_ingest import marathon

KILLS = 18
ATTEMPTS = 4


@pytest.mark.kill
def test_killed_at_random_moments_every_event_counts_once(tmp_path: Path) -> None:
    for attempt in range(ATTEMPTS):
        done = marathon(tmp_path / str(attempt), events=60_000, kills=KILLS, chunk_rows=1_500, seed=attempt)
        assert done["found"] == done["truth"]
        assert done["exact"]  # by day and type too
        # The kills did strike: nearly all before the work was done.
        assert done["kills"] >= KILLS - 5
        assert done["transactions"] >= 30
        # Whether one strikes between the files and the transaction is chance: a run without is no proof of that.
        if done["kills_in_the_middle_of_a_transaction"]:
            return
    pytest.fail(f"no kill of {ATTEMPTS * KILLS} struck in the middle of a transaction")
