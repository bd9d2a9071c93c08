import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from audit.erasure import Certificate, Ground, Subjects, check, needles_of, search
from audit.erasure.records import ErasedSubject, RequestRow
from dashboard.arrivals import Arrivals
from dashboard.erasing import erase_user, requests_of, without_erased
from recommender.catalogue import list_catalogues, load_catalogue
from recommender.engine import Recommender
from recommender.index import current_version, list_versions, verify
from telemetry.parts import PartLog
from telemetry.warehouse import open_warehouse
from tests.audit.erasure import small
from tests.audit.erasure.small import CLOCK, NAMESAKE, PERSON, Made, copied, settings_of
from tests.conftest import ROOT
from tests.recommender import world
from workspace.columns import Event, Interaction, User
from workspace.errors import ErasedError, IntegrityError, InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Store


def erase(home: Path, user: str = PERSON, **options: Any) -> Any:
    return erase_user(settings_of(home), user, actor="test", clock=CLOCK, **{"reason": "ticket 12", **options})


def users_of(home: Path) -> dict[int, int]:
    """Events by pseudonym, read from the files themselves."""
    counts: dict[int, int] = {}
    for path in (Paths(home).telemetry / "events").glob("*/*.parquet"):
        for user in pq.ParquetFile(path).read([Event.USER])[Event.USER].to_pylist():
            counts[user] = counts.get(user, 0) + 1
    return counts


@pytest.fixture(scope="module")
def erased(built: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Any]:
    made = copied(built, tmp_path_factory.mktemp("erased") / "home")
    return made, erase(made.home)


def test_a_person_is_there_before(built: Made) -> None:
    store = Store.open(settings_of(built.home))
    ground = Ground.open(settings_of(built.home), store, CLOCK)
    proof = search(built.home, needles_of(ground, PERSON), store)
    store.close()
    places = {hit.where.partition(":")[0].partition("/")[0].partition(" ")[0] for hit in proof.hits}
    assert places >= {"catalogue", "telemetry", "spool", "logs", "table", "recommendr.db"}


def test_nothing_of_the_person_is_left_and_others_stay_whole(built: Made, erased: tuple[Made, Any]) -> None:
    made, answer = erased
    assert answer.status == "erased"
    assert answer.proof.clean
    assert answer.proof.hits == ()
    # By other means than the search: no file has the raw bytes, no decoded user column the id or a pseudonym.
    home = made.home
    keys = Ground.open(settings_of(home), store := Store.open(settings_of(home)), CLOCK).keys
    store.close()
    gone = keys.pseudonym(PERSON, world.TODAY)
    for path in home.rglob("*"):
        if path.is_file():
            # The namesake's id contains the person's; what is left after it is taken out must not.
            content = path.read_bytes().replace(NAMESAKE.encode(), b"")
            assert PERSON.encode() not in content, path
            assert str(gone).encode() not in content, path
    before, after = users_of(built.home), users_of(home)
    assert before.pop(gone) == 2 * small.DAYS
    assert after == before
    old, new = load_catalogue(Paths(built.home)), load_catalogue(Paths(home))
    assert set(old.users[User.ID]) - set(new.users[User.ID]) == {PERSON}
    kept = old.interactions[old.interactions[Interaction.USER] != PERSON].reset_index(drop=True)
    assert new.interactions.equals(kept)


def test_rollups_are_those_of_the_events_left(erased: tuple[Made, Any]) -> None:
    made, _ = erased
    store = Store.open(settings_of(made.home))
    warehouse = open_warehouse(settings_of(made.home), store)
    events = warehouse.query("SELECT COUNT(*) AS n FROM EVENTS")["n"].iloc[0]
    for table in ("USER_DAY", "HOUR_ROLLUP"):
        assert warehouse.query(f"SELECT SUM(events) AS n FROM {table}")["n"].iloc[0] == events  # noqa: S608
    assert warehouse.query("SELECT MAX(n_users) AS n FROM ACTIVE_DAY WHERE cut = 0")["n"].iloc[0] == 3
    files = set((made.home / "telemetry").glob("*/date=*/*.parquet"))
    listed = {part.path for name in {path.parts[-3] for path in files} for part in PartLog(
        store, Paths(made.home)).parts(name)}  # fmt: skip
    assert files == listed
    warehouse.close()
    store.close()


def test_lines_about_the_person_go_and_others_stay(erased: tuple[Made, Any]) -> None:
    made, _ = erased
    lines = [json.loads(line) for line in (made.home / "logs" / "history.jsonl").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["nobody"]
    assert json.loads((made.home / "telemetry" / "truth.json").read_text()) == {"robots": ["erased", NAMESAKE]}
    assert not (made.home / "spool" / "done" / "old.jsonl").exists()
    waiting = (made.home / "spool" / "waits.jsonl").read_text().splitlines()
    assert [json.loads(line)[Event.USER] for line in waiting] == ["u1"]


def test_only_what_was_computed_without_the_person_is_left(erased: tuple[Made, Any]) -> None:
    made, answer = erased
    paths = Paths(made.home)
    assert [entry.current for entry in list_catalogues(paths)] == [True]
    assert [one.version for one in list_versions(paths)] == [current_version(paths)] != [made.version]
    assert verify(paths) == []
    assert answer.certificate.content["index_version"] == current_version(paths)
    assert not list((paths.indexes).glob(".*.tmp"))


def test_replay_of_what_needed_it_says_erased(erased: tuple[Made, Any]) -> None:
    recommender = Recommender.open(settings_of(erased[0].home), clock=CLOCK)
    for slate in (erased[0].slate, erased[0].others_slate):
        with pytest.raises(ErasedError, match="erased on 2022-01-15"):
            recommender.replay(slate)
    with pytest.raises(UnknownError):
        recommender.replay("slate_never")
    with pytest.raises(UnknownError):
        recommender.recommend(PERSON)
    assert len(recommender.recommend(NAMESAKE, k=3).items) == 3
    recommender.store.close()


def test_certificate_holds_its_hash_is_in_the_ledger_and_names_nobody(erased: tuple[Made, Any]) -> None:
    made, answer = erased
    settings = settings_of(made.home)
    stored = requests_of(settings)[0]
    certificate = Certificate.parse(stored.certificate)
    assert certificate == answer.certificate
    assert certificate.content["erased"]["telemetry"] == {"events": 2 * small.DAYS, "parts": small.DAYS}
    assert certificate.content["erased"]["rows"] == {
        "slates": 1, "slate_items": 3, "live_interactions": 1,
    }  # fmt: skip
    store = Store.open(settings)
    ledger = Ledger(store)
    seq = check(ledger, certificate)
    assert seq is not None
    assert ledger.entries(1)[0].action == "erasure.complete"
    assert ledger.verify().ok
    assert check(ledger, Certificate.of({"certificate": "erasure"})) is None
    # What the import is compared with leads to the request and no further: no ledger record bears it.
    listed = Subjects.open(settings).listed(PERSON)
    with store.reading() as session:
        rows = session.execute(text("SELECT subject, details FROM ledger")).all()
        assert session.get(ErasedSubject, listed) is not None
    assert all(listed not in f"{subject}{details}" for subject, details in rows)
    store.close()
    broken = stored.certificate.replace('"format":1', '"format":2')
    with pytest.raises(IntegrityError, match="SHA-256"):
        Certificate.parse(broken)


def test_erasing_twice_says_already_erased_with_the_same_certificate(erased: tuple[Made, Any]) -> None:
    made, answer = erased
    again = erase(made.home)
    assert again.status == "already erased"
    assert again.certificate == answer.certificate


def test_import_of_the_same_data_does_not_bring_the_person_back(built: Made, erased: tuple[Made, Any]) -> None:
    old = load_catalogue(Paths(built.home))
    cleared, count = without_erased(settings_of(erased[0].home), old)
    assert count == 1
    assert set(old.users[User.ID]) - set(cleared.users[User.ID]) == {PERSON}
    assert without_erased(settings_of(built.home), old)[1] == 0


@pytest.mark.parametrize(("days_after", "back"), [(-1, False), (1, True)])
def test_joining_told_again_is_refused_and_joining_anew_is_not(
    erased: tuple[Made, Any], tmp_path: Path, days_after: int, back: bool
) -> None:
    home = copied(erased[0], tmp_path / "home").home
    settings = settings_of(home)
    store = Store.open(settings)
    arrivals = Arrivals(settings, store, clock=CLOCK, actor="test")
    ts = world.NOW.replace(day=15 + days_after).isoformat()
    arrivals.receive({"type": "user.joined", "event_id": "j1", "ts": ts, "user": {"user_id": PERSON, "region": "SE"}})
    arrived = arrivals.apply()
    store.close()
    assert arrived.users == int(back)
    assert dict(arrived.refused) == ({} if back else {"user was erased on request": 1})
    assert not list((home / "spool").rglob("refused/*"))
    if back:  # who came back can be erased again
        assert erase(home).status == "erased"


def test_unknown_blank_and_naming_reasons_are_refused_and_change_nothing(made: Made) -> None:
    store = Store.open(settings_of(made.home))
    head = Ledger(store).head()
    with pytest.raises(UnknownError, match="unknown here"):
        erase(made.home, "nobody-at-all")
    with pytest.raises(InvalidValueError, match="blank"):
        erase(made.home, "  ")
    for reason in (f"{PERSON} wrote", "x" * 501, "a\x07b"):
        with pytest.raises(InvalidValueError, match="reason"):
            erase(made.home, reason=reason)
    assert Ledger(store).head() == head
    store.close()
    assert requests_of(settings_of(made.home)) == []


def test_waiting_delivery_in_another_form_is_named_and_erasure_goes_on_after(made: Made) -> None:
    waiting = Paths(made.home).spool / "more.jsonl.gz"
    import gzip

    waiting.write_bytes(gzip.compress(f'{{"user_id": "{PERSON}"}}\n'.encode()))
    with pytest.raises(StateError, match="taken in first"):
        erase(made.home)
    assert requests_of(settings_of(made.home))[0].state == "open"
    waiting.unlink()
    assert erase(made.home).status == "erased"


def test_trace_that_no_step_reaches_leaves_the_request_open_and_an_old_record_stays(made: Made) -> None:
    store = Store.open(settings_of(made.home))
    seq = Ledger(store).append("ann", "user_looked_at", PERSON, {"reason": "debugging"}).seq
    store.close()
    stray = made.home / "notes.txt"
    stray.write_text(f"ask {PERSON}")
    answer = erase(made.home)
    assert answer.status == "not proven"
    assert [(hit.where, hit.form) for hit in answer.proof.hits] == [("notes.txt", "id in UTF-8")]
    assert requests_of(settings_of(made.home))[0].state == "open"
    stray.unlink()
    again = erase(made.home)
    assert again.status == "erased"
    assert again.request_id == answer.request_id
    assert again.certificate.content["erased"]["telemetry"]["events"] == 2 * small.DAYS
    assert again.certificate.content["proof"]["ledger_records"] == [seq]
    assert any("records of the ledger" in one["what"] for one in again.certificate.content["remains"])


def test_killed_at_any_moment_the_same_command_finishes(built: Made, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return copied(built, tmp_path / name / "home").home

    def kill(*told: str) -> str:
        command = [sys.executable, "-m", "tests.audit.erasure.killed", *told]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout

    total = int(kill(f"{copy('whole')}:0"))
    assert total > 20
    moments = [1 + total // 3, 1 + total * 2 // 3, total]
    homes = [(copy(f"at{moment}"), moment) for moment in moments]
    assert kill(*(f"{home}:{moment}" for home, moment in homes)) == ""
    for home, moment in homes:
        answer = erase(home)
        assert answer.status in {"erased", "already erased"}, moment
        assert answer.certificate is not None
        store = Store.open(settings_of(home))
        with store.reading() as session:
            assert [row.state for row in session.query(RequestRow)] == ["done"], moment
        assert Ledger(store).verify().ok
        proof = search(home, needles_of(Ground.open(settings_of(home), store, CLOCK), PERSON), store)
        assert proof.clean, (moment, proof.hits)
        store.close()
        assert verify(Paths(home)) == []
