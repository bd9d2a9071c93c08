"""Audits as they are composed: declared before they run, kept under their hash, every step in the ledger.

What an audit finds is tested where it is found; here the findings are made by hand.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from dashboard import auditing
from recommender.index import current_version
from tests.dashboard.audits_by_hand import by_hand, linked
from workspace.errors import IntegrityError, InvalidValueError, SchemaError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store


@pytest.fixture
def own(ready_home: Path, tmp_path: Path) -> Settings:
    return Settings(home=linked(ready_home, tmp_path / "home"))


@pytest.fixture(autouse=True)
def made_by_hand(monkeypatch: pytest.MonkeyPatch, ready_home: Path) -> dict[str, Any]:
    return by_hand(monkeypatch, ready_home)


def rows(settings: Settings) -> list[tuple[str, str]]:
    store = Store.open(settings)
    try:
        return [(row.action, row.subject) for row in reversed(Ledger(store).entries())]
    finally:
        store.close()


def test_draft_is_filled_from_what_is_current(own: Settings) -> None:
    plan = auditing.draft(own)
    assert plan.index_version == current_version(Paths(own.home))
    assert (own.home / "catalogue" / plan.snapshot_id).is_dir()
    assert plan.k_anonymity == 10
    assert plan == auditing.draft(own, title=None, axes=None)
    assert {axis for axis, _ in plan.tests} == {"name_origin", "gender", "age_band"}
    assert {axis for axis, _ in auditing.draft(own, axes=("region",)).tests} == {"region"}
    assert rows(own) == []


def test_draft_refuses_what_is_not_there(own: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="must be one that was built"):
        auditing.draft(own, index_version="v000000000000")
    with pytest.raises(UnknownError, match="must be one that was built"):
        auditing.draft(own, market_version="v000000000000")
    with pytest.raises(UnknownError, match="snapshot 'c0'"):
        auditing.draft(own, snapshot_id="c0")
    with pytest.raises(InvalidValueError, match="k_anonymity == 3"):
        auditing.draft(own, k_anonymity=3)
    with pytest.raises(InvalidValueError, match="fields of a plan"):
        auditing.draft(own, colour="red")
    with pytest.raises(UnknownError, match=r"dragon.*woman, man"):
        auditing.draft(own, references={"gender": "dragon"})
    with pytest.raises(UnknownError, match="reference of region == 'ZZ'"):
        auditing.draft(own, references={"region": "ZZ"})
    with pytest.raises(StateError, match="no index version is current"):
        auditing.draft(Settings(home=tmp_path / "empty"))


def test_a_plan_is_declared_once_and_before_its_run(own: Settings) -> None:
    plan = auditing.declare(own, actor="me", axes=("gender",))
    assert auditing.declare(own, actor="me", axes=("gender",)) == plan
    document = auditing.run(own, plan.plan_id, actor="me")
    assert rows(own) == [("audit.plan", plan.plan_id), ("audit.run", document["report_id"])]
    assert auditing.plans(own)[0]["declared_at"]
    assert auditing.attested(own, document)["run_recorded_at"]


def test_the_same_run_is_the_same_file(own: Settings) -> None:
    plan = auditing.declare(own, actor="me")
    first = auditing.run(own, plan.plan_id, actor="me")
    file = Paths(own.home).audit / "reports" / f"{first['report_id']}.json"
    stored = file.read_bytes()
    assert stored == rfc8785.dumps(json.loads(stored))
    auditing.run(own, plan.plan_id, actor="you")
    assert file.read_bytes() == stored
    assert auditing.load_report(own, first["report_id"]) == first


def test_a_run_refuses_what_is_not_planned(own: Settings) -> None:
    plan = auditing.declare(own, actor="me", axes=("gender",))
    with pytest.raises(InvalidValueError, match="declare another plan"):
        auditing.run(own, plan.plan_id, actor="me", asked=[("axis", "region")])
    with pytest.raises(UnknownError, match="must be one that was declared"):
        auditing.run(own, "plan_000000000000", actor="me")
    assert auditing.reports(own) == []


def test_a_plan_that_was_slipped_in_is_refused(own: Settings) -> None:
    from audit.plan import save_plan

    plan = auditing.draft(own, title="Chosen after looking")
    save_plan(Paths(own.home), plan)
    with pytest.raises(IntegrityError, match="is in no ledger"):
        auditing.run(own, plan.plan_id, actor="me")


def test_looking_at_real_users_is_in_the_ledger_first(own: Settings) -> None:
    plan = auditing.declare(own, actor="me", panel="observed", axes=("region",))
    auditing.run(own, plan.plan_id, actor="me")
    assert [action for action, _ in rows(own)] == ["audit.plan", "audit.observe", "audit.run"]


def test_a_second_look_at_real_users_is_held_against_the_first(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[str, list[tuple[str, ...]]]] = []
    monkeypatch.setattr("audit.personas.build_panel", lambda plan, _view: plan.plan_id)
    monkeypatch.setattr(
        "audit.runs.repeating.refuse_overlap",
        lambda panel, _found, earlier: held.append((panel, [one.plan.axes for one in earlier])),
    )
    plans = [auditing.declare(own, actor="me", panel="observed", axes=(axis,)) for axis in ("region", "premium")]
    for plan in plans:
        auditing.run(own, plan.plan_id, actor="me")
    assert held == [(plans[1].plan_id, [("region",)])]


def test_a_damaged_report_hides_no_other(own: Settings, made_by_hand: dict[str, Any]) -> None:
    plan = auditing.declare(own, actor="me")
    bad = auditing.run(own, plan.plan_id, actor="me")["report_id"]
    made_by_hand["clean"] = True
    good = auditing.run(own, plan.plan_id, actor="me")["report_id"]
    file = Paths(own.home).audit / "reports" / f"{bad}.json"
    file.write_bytes(file.read_bytes().replace(b'"ratio":2,', b'"ratio":1,'))
    listed = {one["report_id"]: one for one in auditing.reports(own)}
    assert listed[good]["found"] is False
    assert listed[good]["problem"] is None
    assert "was changed after it was written" in listed[bad]["problem"]
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        auditing.exported(own, bad, "html", actor="me")


@pytest.mark.parametrize("name", ["audit_000000000000", "audit_../../x", "../plans/plan_1", "", "plan_1"])
def test_unknown_reports_are_refused(own: Settings, name: str) -> None:
    with pytest.raises(UnknownError, match="must be one that was made here"):
        auditing.load_report(own, name)


def test_a_report_under_another_name_is_refused(own: Settings) -> None:
    document = auditing.run(own, auditing.declare(own, actor="me").plan_id, actor="me")
    folder = Paths(own.home).audit / "reports"
    (folder / "audit_aaaaaaaaaaaa.json").write_bytes((folder / f"{document['report_id']}.json").read_bytes())
    with pytest.raises(IntegrityError, match="holds audit_"):
        auditing.load_report(own, "audit_aaaaaaaaaaaa")


def test_handing_out_is_in_the_ledger(own: Settings) -> None:
    document = auditing.run(own, auditing.declare(own, actor="me").plan_id, actor="me")
    name = document["report_id"]
    assert json.loads(auditing.exported(own, name, "json", actor="me")) == document
    assert auditing.exported(own, name, "html", actor="me").startswith(b"<!DOCTYPE html>")
    assert rows(own)[-2:] == [("audit.export", name)] * 2
    with pytest.raises(InvalidValueError, match="must be one of json, html, pdf"):
        auditing.exported(own, name, "docx", actor="me")


def test_verify_says_identical_or_where(own: Settings, tmp_path: Path) -> None:
    document = auditing.run(own, auditing.declare(own, actor="me").plan_id, actor="me")
    file = tmp_path / "report.json"
    file.write_bytes(auditing.exported(own, document["report_id"], "json", actor="me"))
    assert auditing.verify_report(own, file).identical
    document["content"]["figures"][0]["value"] = 0.4
    document["content"]["plan"]["seed"] = 1
    file.write_text(json.dumps(document))
    found = auditing.verify_report(own, file)
    assert not found.identical
    assert found.where == ["/content/figures/0/value", "/content/plan/seed"]


def test_verify_refuses_another_build_of_the_version(own: Settings, tmp_path: Path) -> None:
    from audit.report.document import report_bytes, sealed

    document = auditing.run(own, auditing.declare(own, actor="me").plan_id, actor="me")
    content = document["content"]
    content["subject"]["manifest_checksum"] = "0" * 64
    file = tmp_path / "report.json"
    file.write_bytes(report_bytes(sealed(content)))
    with pytest.raises(IntegrityError, match="with another manifest"):
        auditing.verify_report(own, file)
    # The same change without a new hash is no other build, but a changed report.
    file.write_bytes(report_bytes(document))
    assert auditing.verify_report(own, file).where == ["/content/subject/manifest_checksum"]


def test_verify_refuses_what_is_no_report(own: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="there is no file"):
        auditing.verify_report(own, tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SchemaError, match="is no audit report"):
        auditing.verify_report(own, tmp_path / "x.json")


def test_cause_names_the_nearest_row(own: Settings) -> None:
    document = auditing.run(own, auditing.declare(own, actor="me").plan_id, actor="me")
    with pytest.raises(UnknownError, match="did you mean 'user/hit_rate/gender/female//'"):
        auditing.cause(own, document["report_id"], "user/hit_rate/gender/femal//")


def test_days_follow_the_last_act() -> None:
    assert auditing._day_after(dt.datetime(2024, 2, 28, 23, 59, tzinfo=dt.UTC)) == dt.date(2024, 2, 29)
    with pytest.raises(StateError, match="no act"):
        auditing._day_after(None)
