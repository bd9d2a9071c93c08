"""The doctor finds what is wrong, one planted defect at a time."""

import datetime as dt
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.doctor import Finding, diagnose
from telemetry.parts import Batch, PartLog
from telemetry.rollups import roll_up
from telemetry.warehouse.embedded import EmbeddedWarehouse
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.errors import UnreachableError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC))


class Clinic:
    """A workspace in order."""

    def __init__(self, home: Paths) -> None:
        self.home = home
        self.settings = Settings(home=home.home)
        self.store = Store.open(self.settings)
        self.parts = PartLog(self.store, home, CLOCK)
        lay(self.parts, history(users=20, days=2))
        warehouse = EmbeddedWarehouse(self.parts, 256)
        roll_up(self.parts, warehouse, CLOCK)
        warehouse.close()

    def findings(self, clock: FrozenClock = CLOCK) -> dict[str, Finding]:
        return {finding.check: finding for finding in diagnose(self.settings, self.store, clock)}


@pytest.fixture
def clinic(home: Paths) -> Clinic:
    return Clinic(home)


def test_diagnose_finds_nothing_where_all_is_well(clinic: Clinic) -> None:
    findings = clinic.findings()
    assert [name for name, finding in findings.items() if not finding.ok] == []
    assert findings.keys() == {
        "parts", "files", "disk", "keys", "quarantine", "retention", "warehouse", "rollups", "recomputation",
    }  # fmt: skip
    assert all(finding.cure == "" for finding in findings.values())
    assert findings["parts"].to_dict()["ok"] is True


def missing(clinic: Clinic) -> None:
    clinic.parts.parts("bucket_day")[0].path.unlink()


def shortened(clinic: Clinic) -> None:
    path = clinic.parts.parts("hour")[0].path
    pq.write_table(pq.read_table(path).slice(1), path)


def garbage(clinic: Clinic) -> None:
    clinic.parts.parts("active_day")[0].path.write_bytes(b"not Parquet")


def stray(clinic: Clinic) -> None:
    (clinic.parts.folder / "events" / f"date={START}" / "part_forgotten.parquet").write_bytes(b"")


def pending(clinic: Clinic) -> None:
    lay(clinic.parts, history(users=20, days=1, seed=9))


def unequal(clinic: Clinic) -> None:
    part = clinic.parts.parts("user_day")[0]
    table = pq.read_table(part.path)
    place = table.schema.get_field_index("clicks")
    clicks = pa.array([count + 1 for count in table["clicks"].to_pylist()], pa.int64())
    with clinic.parts.target("user_day", part.date, source_digest=part.source_digest) as (temporary, finished):
        pq.write_table(table.set_column(place, "clicks", clicks), temporary)
    clinic.parts.commit(added=[finished()], retired=[part.part_id])


def readable_key(clinic: Clinic) -> None:
    clinic.home.keys.mkdir(parents=True)
    (clinic.home.keys / "telemetry.json").write_text("{}", "utf-8")
    (clinic.home.keys / "telemetry.json").chmod(0o644)


def refused(clinic: Clinic) -> None:
    moment = CLOCK.now() - dt.timedelta(hours=1)
    clinic.parts.commit(
        batch=Batch(
            batch_id="b", source="s", source_digest="d", position={}, complete=True, started_at=moment,
            finished_at=moment, read=100, accepted=90, duplicates=0, quarantined=10, late=0, bytes=1,
            rejections={("ts", "in the future"): 10},
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("defect", "check", "named"),
    [
        (missing, "parts", "is missing"),
        (shortened, "parts", "not the file that was written"),
        (garbage, "parts", "can't be read"),
        (stray, "files", "part_forgotten"),
        (pending, "rollups", START.isoformat()),
        (unequal, "recomputation", "USER_DAY"),
        (readable_key, "keys", "mode 644"),
        (refused, "quarantine", "10.00%"),
    ],
)
def test_diagnose_finds_a_defect_and_names_a_cure(
    clinic: Clinic, defect: Callable[[Clinic], None], check: str, named: str
) -> None:
    defect(clinic)
    finding = clinic.findings()[check]
    assert not finding.ok
    assert named in finding.message
    assert finding.cure


def test_diagnose_finds_what_is_kept_too_long(clinic: Clinic) -> None:
    later = FrozenClock(CLOCK.now() + dt.timedelta(days=400))
    finding = clinic.findings(later)["retention"]
    assert not finding.ok
    assert START.isoformat() in finding.message


def test_diagnose_finds_a_warehouse_that_is_down(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> None:
        raise UnreachableError("Snowflake does not answer", hint="check the connection")

    monkeypatch.setattr("telemetry.doctor.open_warehouse", down)
    finding = clinic.findings()["warehouse"]
    assert (finding.ok, finding.cure) == (False, "check the connection")
