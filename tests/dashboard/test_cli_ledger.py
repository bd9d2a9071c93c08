"""`recommendr ledger`: what holds, what was flipped, what was cut off."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from dashboard.ledgers import record_role
from tests.dashboard.conftest import call
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

RECORDS = 6


@pytest.fixture
def kept(home: Paths) -> Path:
    store = Store.open(Settings(home=home.home))
    ledger = Ledger(store)
    for number in range(1, RECORDS + 1):
        ledger.append(
            "ann" if number % 2 else "bo", f"act.{'a' if number < 4 else 'b'}", f"thing {number}", {"n": number}
        )
    store.close()
    return home.home


def change(home: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(home / "recommendr.db") as connection:
        connection.execute(statement, values)
    connection.close()


def test_verify_says_it_holds_with_the_head(kept: Path) -> None:
    answer = call(kept, "ledger", "verify")
    assert answer.code == 0
    assert (answer.document["ok"], answer.document["length"]) == (True, RECORDS)
    assert len(answer.document["head"]) == 64


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("details", '{"n":9}', "its content does not give its hash"),
        ("subject", "thing 9", "its content does not give its hash"),
        ("at", "2020-01-01T00:00:00.000000+00:00", "its content does not give its hash"),
        ("details", '{ "n": 4 }', "canonical"),
        ("previous_hash", "0" * 64, "previous hash"),
    ],
)
def test_verify_locates_a_changed_record(kept: Path, column: str, value: str, reason: str) -> None:
    change(kept, f"UPDATE ledger SET {column} = ? WHERE seq = 4", value)  # noqa: S608 - a name above
    answer = call(kept, "ledger", "verify")
    assert answer.code == 1
    assert answer.document["broken_at"] == 4
    assert reason in answer.document["reason"]


def test_verify_locates_one_flipped_byte_of_the_file(kept: Path) -> None:
    change(kept, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = kept / "recommendr.db"
    content = bytearray(path.read_bytes())
    at = content.index(b"thing 3") + 6
    content[at] ^= 1  # "3" becomes "2"
    path.write_bytes(bytes(content))
    answer = call(kept, "ledger", "verify")
    assert answer.code == 1
    assert answer.document["broken_at"] == 3


def test_verify_misses_nothing_cut_off_once_a_head_was_noted(kept: Path, tmp_path: Path) -> None:
    noted = tmp_path / "head.json"
    noted.write_text(call(kept, "ledger", "verify").stdout)
    assert call(kept, "ledger", "verify", "--noted", noted).code == 0
    change(kept, "DELETE FROM ledger WHERE seq > 4")
    assert call(kept, "ledger", "verify").code == 0  # a shorter chain is a chain too
    answer = call(kept, "ledger", "verify", "--noted", noted)
    assert answer.code == 1
    assert (answer.document["broken_at"], answer.document["noted"]) == (5, RECORDS)
    assert "missing at the end" in answer.document["reason"]


@pytest.mark.parametrize("content", ["", "[]", '{"length": "6", "head": "aa"}', '{"length": -1, "head": "aa"}'])
def test_noted_head_that_is_none_is_named(kept: Path, tmp_path: Path, content: str) -> None:
    noted = tmp_path / "head.json"
    noted.write_text(content)
    assert "--noted" in call(kept, "ledger", "verify", "--noted", noted).error["what"]


def test_list_filters_newest_first(kept: Path) -> None:
    answer = call(kept, "ledger", "list", "--limit", 2, "--action", "act.a", "--actor", "ann")
    assert [one["subject"] for one in answer.document["records"]] == ["thing 3", "thing 1"]
    assert [one["seq"] for one in call(kept, "ledger", "list").document["records"]] == [6, 5, 4, 3, 2, 1]
    assert "limit" in call(kept, "ledger", "list", "--limit", 0).error["what"]


def test_readable_forms(kept: Path) -> None:
    said = CliRunner().invoke(app, ["ledger", "verify", "--home", str(kept)])
    assert "6 records hold" in said.stdout
    assert "thing 6" in CliRunner().invoke(app, ["ledger", "list", "--home", str(kept)]).stdout
    change(kept, "UPDATE ledger SET actor = 'eve' WHERE seq = 2")
    broken = CliRunner().invoke(app, ["ledger", "verify", "--home", str(kept)])
    assert broken.exit_code == 1
    assert "record 2 does not hold" in broken.stdout


def test_role_is_recorded_when_it_is_another_one(home: Paths) -> None:
    store = Store.open(Settings(home=home.home))
    ledger = Ledger(store)
    assert record_role(ledger, "ann@example.org", "pm")
    assert not record_role(ledger, "ann@example.org", "pm")
    assert record_role(ledger, "bo@example.org", None)
    assert record_role(ledger, "ann@example.org", "admin")
    details = [json.dumps(entry.details) for entry in ledger.entries()]
    assert details == [
        '{"before": "pm", "role": "admin"}', '{"before": null, "role": null}', '{"before": null, "role": "pm"}',
    ]  # fmt: skip
    store.close()
