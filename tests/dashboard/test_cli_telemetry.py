"""Telemetry, system, logs and the scheduler's run on the command line: their documents are contracts."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recommender.catalogue import load_catalogue
from telemetry.parts import EVENTS, PartLog
from tests.dashboard.conftest import WEEKS, call
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def copied(telemetry_home: Path, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(telemetry_home, home)
    shutil.copytree(Paths(telemetry_home).keys, Paths(home).keys)
    return home


def event(event_id: str = "e1", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id, "ts": (NOW - timedelta(minutes=5)).isoformat(), "user_id": "u-raw-1",
        "session_id": "s1", "transaction_id": "t1", "region": "US", "device": "web", "event_type": "click",
        "slate_id": "slate-1", "film_id": "f1", "position": 1, "index_version": "v1", **fields,
    }  # fmt: skip


def stored(home: Path) -> int:
    store = Store.open(Settings(home=home))
    try:
        return sum(part.rows for part in PartLog(store, Paths(home)).parts(EVENTS))
    finally:
        store.close()


def test_init_makes_the_weeks_asked_for_and_a_truth_manifest(telemetry_home: Path) -> None:
    paths = Paths(telemetry_home)
    days = sorted(path.name for path in (paths.telemetry / "events").glob("date=*"))
    assert len(days) == 7 * WEEKS
    assert (paths.telemetry / "truth.json").exists()
    assert oct((paths.keys / "telemetry.json").stat().st_mode & 0o777) == "0o600"
    again = call(telemetry_home, "init", "--weeks", WEEKS)
    assert again.document["events"] == stored(telemetry_home) > 1_000


def test_query_answers_by_contract(telemetry_home: Path) -> None:
    whole = call(telemetry_home, "telemetry", "query", "ctr", "--by", "market").document
    assert whole["metric"] == "ctr"
    assert whole["suppressed"] == 0
    assert whole["rows"]
    for row in whole["rows"]:
        assert {"market", "n_users", "value", "ci95"} <= set(row)
        low, high = row["ci95"]
        assert low < row["value"] < high
        assert row["n_users"] >= 10
    narrow = call(telemetry_home, "telemetry", "query", "ctr", "--by", "region,variant").document
    assert narrow["suppressed"] > 0, "sixty users in ten regions are too few for most cells"
    assert all(row["n_users"] >= 10 for row in narrow["rows"])


def test_query_names_an_unknown_metric(telemetry_home: Path) -> None:
    error = call(telemetry_home, "telemetry", "query", "clicks").error
    assert "ctr" in error["hint"]


def test_doctor_finds_nothing_and_then_a_lost_part(copied: Path) -> None:
    fine = call(copied, "telemetry", "doctor")
    assert fine.code == 0, fine.document
    next((Paths(copied).telemetry / "events").glob("date=*/*.parquet")).unlink()
    broken = call(copied, "telemetry", "doctor")
    assert broken.code == 1


def test_ingest_accounts_for_every_line_and_keeps_no_raw_user_id(copied: Path, tmp_path: Path) -> None:
    before = stored(copied)
    lines = [json.dumps(event()), json.dumps(event()), json.dumps(event("e2", user_id="u-raw-2")), "{broken",
             json.dumps(event("e3", event_type="stare"))]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines))
    report = call(copied, "telemetry", "ingest", file).document
    told = {name: report[name] for name in ("read", "accepted", "duplicates", "quarantined")}
    assert told == {"read": 5, "accepted": 2, "duplicates": 1, "quarantined": 2}
    assert stored(copied) == before + 2
    again = call(copied, "telemetry", "ingest", file).document
    assert again["accepted"] == 0
    for path in copied.rglob("*"):
        if path.is_file():
            assert b"u-raw-1" not in path.read_bytes(), path


def test_rollup_brings_new_events_into_the_answers(copied: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    kinds = ("impression", "click")
    lines = [event(f"n{user}{kind}", user_id=f"new{user}", event_type=kind) for user in range(30) for kind in kinds]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    assert call(copied, "telemetry", "ingest", file).document["accepted"] == 60
    today = (NOW - timedelta(minutes=5)).date().isoformat()
    assert call(copied, "telemetry", "rollup").code == 0
    (row,) = call(copied, "telemetry", "query", "ctr", "--from", today, "--to", today).document["rows"]
    assert (row["n_users"], row["value"]) == (30, 1.0)


def test_ingest_gives_films_and_users_among_the_events_their_vector(copied: Path, tmp_path: Path) -> None:
    film = {"film_id": "f-mixed", "title": "Among Events", "release_date": "2024-05-01", "genres": ["drama"]}
    user = {"user_id": "u-mixed", "region": "US", "consent": True}
    lines = [
        event("mixed-1"),
        {"type": "film.updated", "event_id": "m1", "ts": NOW.isoformat(), "film": film},
        {"type": "user.joined", "event_id": "m2", "ts": NOW.isoformat(), "user": user},
    ]
    file = tmp_path / "mixed.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    report = call(copied, "telemetry", "ingest", file).document
    assert (report["read"], report["accepted"], report["quarantined"]) == (1, 1, 0)
    assert (report["arrivals"]["films"], report["arrivals"]["users"], report["arrivals"]["waiting"]) == (1, 1, 0)
    assert call(copied, "explain", "u-mixed", "f-mixed").document["film_id"] == "f-mixed"


def test_ingest_lets_films_wait_where_there_is_no_catalogue(tmp_path: Path) -> None:
    home = Paths(tmp_path / "bare").ensure().home
    file = tmp_path / "film.jsonl"
    film = {"film_id": "f", "title": "T", "release_date": "2024-05-01", "genres": ["drama"]}
    told = {"type": "film.updated", "event_id": "m1", "ts": NOW.isoformat(), "film": film}
    file.write_text(json.dumps(told) + "\n" + json.dumps(event()))
    report = call(home, "telemetry", "ingest", file)
    assert (report.code, report.document["accepted"], report.document["arrivals"]["waiting"]) == (0, 1, 1)
    assert "recommendr" in report.document["arrivals"]["problem"]


def test_ingest_due_takes_the_spool_gives_vectors_and_reports_each_step(copied: Path) -> None:
    paths = Paths(copied)
    film = {"film_id": "f-new", "title": "Just Arrived", "release_date": "2024-05-01", "genres": ["drama"]}
    user = {"user_id": "u-new", "region": "US", "consent": True}
    lines = [
        event("spool-1"),
        {"type": "film.updated", "event_id": "a1", "ts": NOW.isoformat(), "film": film},
        {"type": "user.joined", "event_id": "a2", "ts": NOW.isoformat(), "user": user},
        {"type": "user.joined", "event_id": "a3", "ts": NOW.isoformat(), "user": {**user, "region": "XX"}},
    ]
    (paths.spool / "today.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    before = stored(copied)
    answer = call(copied, "ingest", "--due")
    steps = {step["name"]: step for step in answer.document["steps"]}
    assert answer.code == 0, steps
    assert steps["spool"]["state"] == "done"
    assert steps["kafka"]["state"] == "nothing to do"
    assert "1 films, 1 users" in steps["films and users"]["detail"]
    assert "region must be one of" in steps["films and users"]["detail"]
    assert steps["rollups"]["state"] == "done"
    assert stored(copied) == before + 1
    assert len(call(copied, "recommend", "u-new").document["items"]) == 5
    assert call(copied, "explain", "u-new", "f-new").document["film_id"] == "f-new"
    (done,) = [path for path in (paths.spool / "done").iterdir() if not path.name.startswith(".")]
    again = {step["name"]: step["state"] for step in call(copied, "ingest", "--due").document["steps"]}
    # Slates were made in between: the monitor has looked at them too.
    assert again.pop("monitor") in {"done", "nothing to do"}
    assert set(again.values()) == {"nothing to do"}, again
    yesterday = (NOW - timedelta(days=2)).timestamp()
    os.utime(done, (yesterday, yesterday))
    assert call(copied, "ingest", "--due").code == 0
    assert not done.exists(), "a delivery names users: it goes a day after it was taken"


def test_ingest_due_goes_on_when_a_step_fails(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_KAFKA_BROKERS", "127.0.0.1:1")
    (Paths(copied).spool / "today.jsonl").write_text(json.dumps(event("spool-2")))
    answer = call(copied, "ingest", "--due")
    states = {step["name"]: step["state"] for step in answer.document["steps"]}
    assert (answer.code, states["spool"], states["kafka"], states["rollups"]) == (1, "done", "failed", "done")


def test_ingest_without_due_says_what_it_is_for(copied: Path) -> None:
    assert "--due" in call(copied, "ingest").error["what"]


def test_system_query_and_logs_answer_about_the_same_request(telemetry_home: Path) -> None:
    answer = call(telemetry_home, "system", "query", "latency_quantile", "--service", "gateway")
    assert answer.code == 0
    assert answer.document["rows"]
    lines = call(telemetry_home, "logs", "--service", "gateway", "--limit", 5).document
    transaction = lines["lines"][0]["transaction_id"]
    trace = call(telemetry_home, "logs", "--transaction", transaction).document
    hops = [hop["service"] for hop in trace["trace"]["hops"]]
    assert hops == ["gateway", "bff", "user", "content", "recommender"]
    told = json.dumps(trace)
    assert not [user for user in load_catalogue(Paths(telemetry_home)).users["user_id"] if user in told]


def test_commands_leave_their_duration_for_prometheus(copied: Path) -> None:
    call(copied, "telemetry", "rollup")
    call(copied, "telemetry", "query", "nonsense")
    text = (Paths(copied).system / "recommendr.prom").read_text()
    assert 'last_exit_code{command="telemetry rollup"} 0' in text
    assert 'last_exit_code{command="telemetry query"} 2' in text


def test_retention_removes_old_days_and_says_so_in_the_ledger(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored(copied)
    # Nothing may be kept for less than a year; a year of telemetry would take minutes to make.
    monkeypatch.setattr("audit.retention.LEAST_DAYS", 1)
    monkeypatch.setenv("RECOMMENDR_RETENTION_DAYS", "7")
    steps = {step["name"]: step for step in call(copied, "ingest", "--due").document["steps"]}
    assert steps["retention"]["state"] == "done"
    assert 0 < stored(copied) < before
    oldest = min(
        path.name for path in (Paths(copied).telemetry / "events").glob("date=*/*.parquet") for path in [path.parent]
    )
    assert oldest >= f"date={(NOW - timedelta(days=8)).date().isoformat()}"
