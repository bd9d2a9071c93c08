"""A workspace small enough to build in seconds and nasty enough to test what the pages do with it."""

import json
import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboard.planted import planted_plans
from data.synthetic.history import HistorySpec, write_history
from experiments.plan import read_plan
from experiments.registry import Registry
from monitoring.detectors import ALL
from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground, opened
from monitoring.runs import Runner
from recommender.building import BuildOptions, build_index
from recommender.catalogue import QuarantineLog, build_catalogue, empty_provenance, save_catalogue
from recommender.catalogue.schema import conform_films, conform_interactions, conform_users
from telemetry.ingest import Ingestor
from telemetry.parts import PartLog
from telemetry.rollups import roll_up
from telemetry.system import SeriesStore
from telemetry.warehouse import open_warehouse
from workspace.clock import SystemClock
from workspace.columns import Film, Interaction, User
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

FILMS, USERS = 60, 30
NASTY = "f0"
NASTY_TITLE = '<img src=x onerror="window.hacked=1"> **bold** [x](javascript:window.hacked=1) :red[red] $x^2$'
NASTY_SYNOPSIS = "<script>window.hacked=1</script> A *story*."
COLD_USER, CHILD = "u28", "u29"
GENRES = ("Drama", "Comedy", "Action", "Horror")
DRAFT = "exp_draft"
NOW = datetime.now(UTC).replace(microsecond=0)


def films() -> pd.DataFrame:
    rows = []
    for at in range(FILMS):
        row: dict[str, Any] = {name: [] if name in Film.LISTS else None for name in Film.ALL}
        row |= {
            Film.ID: f"f{at}", Film.TITLE: NASTY_TITLE if at == 0 else f"Film number {at}",
            Film.SYNOPSIS: NASTY_SYNOPSIS if at == 0 else f"The story of number {at}. " * 9,
            Film.RELEASE_DATE: date(1980 + at % 40, 3, 1), Film.GENRES: [GENRES[at % 4], GENRES[(at // 4) % 4]],
            Film.KEYWORDS: [f"keyword {at % 7}"], Film.DIRECTORS: [f"Director {at % 9}"],
            Film.CAST: [f"Actor {at % 11}"],
            Film.COUNTRIES: ["SE"], Film.LANGUAGES: ["sv" if at % 3 else "en"], Film.RUNTIME_MIN: 80 + at,
            Film.AGE_RATING: "15" if at % 2 else "7", Film.MINIMUM_AGE: 15 if at % 2 else 7,
            Film.PROVIDER: "aurora", Film.UPDATED_AT: NOW,
        }  # fmt: skip
        rows.append(row)
    return conform_films(pd.DataFrame(rows, columns=list(Film.ALL)))


def users() -> pd.DataFrame:
    rows = [
        {User.ID: f"u{at}", User.REGION: "SE" if at % 2 else "NO", User.MARKET: "nordic", User.PREMIUM: True,
         User.JOINED_AT: NOW - timedelta(days=400), User.EXCLUDED_GENRES: [],
         User.MAXIMUM_AGE: 3 if f"u{at}" == CHILD else None, User.CONSENT: True}
        for at in range(USERS)
    ]  # fmt: skip
    return conform_users(pd.DataFrame(rows, columns=list(User.ALL)))


def interactions() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = []
    for at in range(USERS):
        if f"u{at}" in (COLD_USER, CHILD):
            continue
        seen = set(rng.choice(np.arange(1, FILMS), 12, replace=False).tolist()) | ({0} if at else set())
        rows += [(f"u{at}", f"f{film}", "rated", float(rng.integers(4, 11)) / 2, NOW - timedelta(days=int(film) + 1))
                 for film in seen]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(Interaction.ALL))
    return conform_interactions(frame.assign(ts=pd.to_datetime(frame[Interaction.TS], utc=True)))


def build(home: Path) -> tuple[str, str]:
    """Fill a workspace; return the two index versions, the current one last."""
    log = QuarantineLog()
    log.refuse("aurora", 7, "f7", "duplicate id", "=cmd|'/c calc'!A0")
    log.repair("borealis", 9, "f9", "title", "control characters removed", "<b>x</b>")
    status = [
        {"provider": "aurora", "ok": True, "served": True, "updated_at": NOW.isoformat(), "films": FILMS, "reason": ""},
        {
            "provider": "borealis",
            "ok": False,
            "served": False,
            "updated_at": "",
            "films": 0,
            "reason": "connection refused",
        },
    ]
    facts = {"source": "test", "imported_at": NOW.isoformat(), "providers": status}
    catalogue = build_catalogue(films(), users(), interactions(), log.frame(), empty_provenance(), facts)
    save_catalogue(catalogue, Paths(home).ensure())
    settings = Settings(home=home)
    first = build_index(settings, catalogue, options=BuildOptions(without=("text", "audience")))
    second = build_index(settings, catalogue, options=BuildOptions(without=("text",)))
    return first.version, second.version


def register(folder: Path, store: Store) -> None:
    """Enter the history's experiments, and a draft with a hostile hypothesis."""
    registry = Registry(store)
    for plan, state in planted_plans(json.loads((folder / "truth.json").read_text())):
        registry.adopt(plan, state, "test", launched_at=datetime.combine(plan.start, time(), UTC))
    draft = {
        "experiment_id": DRAFT, "hypothesis": f"{NASTY_TITLE} raises clicks.", "owner": "<i>kim</i>", "flag": "nasty",
        "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
        "start": "2199-01-01", "metrics": [{"metric": "ctr", "kind": "primary"}],
    }  # fmt: skip
    registry.create(read_plan(draft), "test")


def telemetry(home: Path) -> str:
    """Add three weeks of telemetry, samples of the services and log lines; return a transaction that was logged."""
    settings, paths = Settings(home=home), Paths(home)
    folder = home / "history"
    write_history(HistorySpec(users=400, weeks=3, films=FILMS, seed=3), folder)
    store = Store.open(settings)
    ingestor = Ingestor(settings, store)
    ingestor.ingest_path(folder / "events")
    line = {"event_id": "bad", "event_type": "stare", "note": NASTY_TITLE}
    ingestor.ingest_rows([json.dumps(line).encode()], "test", "test", {})
    ingestor.close()
    warehouse = open_warehouse(settings, store)
    roll_up(PartLog(store, paths), warehouse, SystemClock())
    warehouse.close()
    register(folder, store)
    store.close()
    SeriesStore(paths).import_parquet(folder / "system")
    lines = (folder / "logs" / "history.jsonl").read_text()
    first = json.loads(lines.splitlines()[0])["transaction_id"]
    nasty = {"ts": NOW.isoformat(), "level": "ERROR", "service": "bff", "message": NASTY_TITLE, "transaction_id": first}
    (paths.logs / "history.jsonl").write_text(lines + json.dumps(nasty) + "\n")
    shutil.rmtree(folder)
    watched(settings)
    return str(first)


def watched(settings: Settings) -> None:
    """Let the monitor look once, and add a finding whose words are hostile."""
    with opened(settings) as ground:
        Runner(ground, (*ALL, Hostile())).run()


class Hostile:
    """Finds what nobody would want on a page."""

    name = "drift.hostile"

    def look(self, ground: Ground) -> Outcome:
        at = ground.clock.now() - timedelta(days=2)
        finding = Finding(
            detector=self.name, metric="ctr", segment={"region": "<i>SE</i>"}, severity=Severity.WARNING,
            onset=Onset(at=at, low=at - timedelta(days=1), high=at), effect=Interval(value=-0.3, low=-0.4, high=-0.2),
            unit="relative", p_value=1e-9, summary=NASTY_TITLE, evidence={NASTY_TITLE: NASTY_TITLE},
        )  # fmt: skip
        return Outcome(detector=self.name, findings=(finding,), notes=(NASTY_TITLE,))
