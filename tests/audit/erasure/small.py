"""A small workspace with somebody to erase: built once, copied for tests that change it."""

import datetime as dt
import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from audit.erasure import Ground
from recommender.building import BuildOptions, build_index
from recommender.catalogue import build_catalogue, save_catalogue
from recommender.configuration import Configuration
from recommender.engine import Recommender
from telemetry.ingest import Ingestor
from telemetry.rollups import roll_up
from telemetry.warehouse import open_warehouse
from tests.recommender import world
from tests.recommender.conftest import WEIGHTS
from workspace.clock import FrozenClock
from workspace.columns import Event, Interaction, User
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

PERSON = "anna-4711-lund"
"""Long enough for its bytes to tell; another's id contains it."""
NAMESAKE = "anna-4711-lund-b"
SHORT = "u3"
CLOCK = FrozenClock(world.NOW)
DAYS = 3


@dataclass(frozen=True)
class Made:
    """What was laid out."""

    home: Path
    slate: str
    others_slate: str
    version: str
    snapshot_id: str


@functools.cache
def _built_in(folder: Path) -> Made:
    return build(folder / "erasure" / "home")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The workspace as it was laid out; the same one for every file of tests that asks."""
    return _built_in(tmp_path_factory.getbasetemp())


@pytest.fixture
def made(built: Made, tmp_path: Path) -> Made:
    """A copy that may be changed."""
    return copied(built, tmp_path / "home")


def copied(built: Made, home: Path) -> Made:
    shutil.copytree(built.home, home)
    shutil.copytree(built.home.with_name("home.keys"), home.with_name("home.keys"))
    return Made(home, built.slate, built.others_slate, built.version, built.snapshot_id)


def settings_of(home: Path) -> Settings:
    return Settings(home=home, encoder_dtype="float32", shadow_rate=0.0)


def build(home: Path) -> Made:
    """Lay out catalogue, index, slates, live rows, telemetry with rollups, logs, refused rows and documents."""
    settings, paths = settings_of(home), Paths(home).ensure()
    plain = world.catalogue(films=40, users=12)
    names = {"u5": PERSON, "u6": NAMESAKE}
    catalogue = build_catalogue(
        plain.films,
        plain.users.assign(**{User.ID: plain.users[User.ID].replace(names)}),
        plain.interactions.assign(**{Interaction.USER: plain.interactions[Interaction.USER].replace(names)}),
    )
    save_catalogue(catalogue, paths)
    options = BuildOptions(without=("text",), configuration=Configuration(weights=WEIGHTS))
    version = build_index(settings, catalogue, options=options, clock=CLOCK).version
    recommender = Recommender.open(settings, clock=CLOCK)
    slate, other = recommender.recommend(PERSON, k=3), recommender.recommend(NAMESAKE, k=3)
    film = slate.items[0].film_id
    recommender.record(PERSON, film, "watched")
    recommender.record(NAMESAKE, film, "watched")
    _telemetry(settings, recommender.store, slate.slate_id)
    _documents(paths, recommender.store, settings)
    recommender.store.close()
    return Made(home, slate.slate_id, other.slate_id, version, catalogue.snapshot_id)


def _telemetry(settings: Settings, store: Store, slate: str) -> None:
    ingestor = Ingestor(settings, store, CLOCK)
    lines = [
        _event(user, day, number, slate)
        for day in range(DAYS)
        for user in (PERSON, NAMESAKE, "u1", "u2")
        for number in range(2)
    ]
    refused = {**json.loads(_event(PERSON, 0, 9, slate)), Event.TYPE: "stare"}
    ingestor.ingest_rows([*map(str.encode, lines), json.dumps(refused).encode()], "test", "test", {})
    ingestor.close()
    warehouse = open_warehouse(settings, store)
    roll_up(ingestor.parts, warehouse, CLOCK)
    warehouse.close()


def _event(user: str, day: int, number: int, slate: str) -> str:
    ts = world.NOW - dt.timedelta(days=day, minutes=number)
    place = f"{len(user)}{user[-1]}{day}{number}"  # says whose it is to nobody
    values: dict[str, Any] = {
        Event.ID: f"e{place}", Event.TS: ts.isoformat(), Event.USER: user, Event.SESSION: f"s{len(user)}{day}",
        Event.TRANSACTION: f"t-{day}-{len(user)}-{number}", Event.REGION: "SE", Event.DEVICE: "web",
        Event.TYPE: "impression", Event.SLATE: slate, Event.FILM: "1", Event.POSITION: 1 + number,
    }  # fmt: skip
    return json.dumps(values)


def _documents(paths: Paths, store: Store, settings: Settings) -> None:
    ground = Ground.open(settings, store, CLOCK)
    pseudonym = ground.keys.pseudonym(PERSON, world.TODAY)
    lines = [
        {"ts": world.NOW.isoformat(), "message": "hop", "transaction_id": "t-0-14-0"},
        {"ts": world.NOW.isoformat(), "message": f"user {pseudonym} is odd", "transaction_id": "x"},
        {"ts": world.NOW.isoformat(), "message": "nobody", "transaction_id": "y"},
    ]
    (paths.logs / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (paths.telemetry / "truth.json").write_text(json.dumps({"robots": [PERSON, NAMESAKE]}))
    done = paths.spool / "done"
    done.mkdir()
    (done / "old.jsonl").write_text(_event(PERSON, 0, 0, "s") + "\n")
    (paths.spool / "waits.jsonl").write_text(_event(PERSON, 0, 0, "s") + "\n" + _event("u1", 0, 0, "s") + "\n")


def frame_of(home: Path, snapshot_id: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(Paths(home).catalogue / snapshot_id / f"{table}.parquet")
