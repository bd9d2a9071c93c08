"""The pages of audits: verdicts in words, every tab without a barrier, links that lead to a cause, refusals by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit.plan import AuditPlan, list_plans
from dashboard.loaders import audits as loaders
from tests.ui import audit_world as world
from tests.ui.browsing import NARROW, WIDE, check, go, query, turn, visit
from tests.ui.conftest import Console
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

PAGES = Path(__file__).parents[2] / "pages"
FRAME = """
import runpy
from dashboard import components
from workspace.errors import RecommendrError
try:
    runpy.run_path({page!r})
except RecommendrError as problem:
    components.error(problem)
"""
World = tuple[Path, tuple[str, str]]
TABS = ("By user group", "By film group", "Names swapped", "Proxy leak", "Markets", "Cause", "Plan and hashes")


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, page: str, **address: str) -> AppTest:
    monkeypatch.setenv("RECOMMENDR_HOME", str(home))
    # The page alone, refusals shown as the console shows them: the landing page costs more than all of it.
    app = AppTest.from_string(FRAME.format(page=str(PAGES / f"{page}.py")), default_timeout=60)
    app.query_params.update(address)
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


@pytest.fixture(scope="module")
def found(console: Console) -> str:
    """A report that found something, in the home of the console."""
    return world.keep(console.home, world.findings(world.plan(console.versions[1])))


@pytest.fixture(scope="module")
def world_home(world: World) -> Path:
    return world[0]


@pytest.mark.parametrize(("page", "offers"), [("audits", "tab Declare"), ("audit", "Declare a plan")])
def test_without_a_report_the_page_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, offers: str
) -> None:
    text = said(opened(tmp_path / "none", monkeypatch, page))
    assert "No audit has been run yet." in text
    assert "recommendr audit run" in text
    assert offers in text


def test_a_list_says_what_each_report_found_and_hides_no_tampered_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.keep(tmp_path, world.findings(world.plan(title="Changed")))
    file = tmp_path / "audit" / "reports" / f"{bad}.json"
    file.write_bytes(file.read_bytes().replace(b'"value":0.31', b'"value":0.55', 1))
    world.keep(tmp_path, world.findings())
    text = said(opened(tmp_path, monkeypatch, "audits"))
    assert "1 disparity; origin of the name changed lists" in text
    assert f"The report &#x27;{bad}&#x27; was changed after it was written" in text


def test_a_tampered_and_a_missing_report_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = world.keep(tmp_path, world.findings())
    file = tmp_path / "audit" / "reports" / f"{bad}.json"
    file.write_bytes(file.read_bytes().replace(b'"n":600', b'"n":601', 1))
    text = said(opened(tmp_path, monkeypatch, "audit", report=bad))
    assert "was changed after it was written" in text
    assert world.FOUND_WORDS not in text
    assert "is not kept here" in said(opened(tmp_path, monkeypatch, "audit", report="audit_000000000000"))
    assert "is not kept here" in said(opened(tmp_path, monkeypatch, "audit", report="../../recommendr"))


def test_figures_come_with_n_interval_and_verdict_and_no_number_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = world.keep(tmp_path, world.findings())
    text = said(opened(tmp_path, monkeypatch, "audit", report=report, tab="By user group", axis="name_origin"))
    assert "31.0 % (27.0 to 35.0 %)" in text
    assert "0.55 (0.46 to 0.66)" in text
    assert "below 0.84" in text
    assert "suppressed: fewer than 10 users" in text
    assert "not estimable: nobody of the reference was reached" in text
    assert "figure=user%2Freach%2Fname_origin%2Fsouth_asian%2Fcast_origin%2Fsouth_asian" in text
    assert "<img" not in text
    taste = said(
        opened(tmp_path, monkeypatch, "audit", report=report, tab="By user group", axis="name_origin",
               measure="exposure")
    )  # fmt: skip
    assert "5.0 %" in taste
    assert "−1.0 % (−2.0 to 0.0 %)" in taste


def test_a_verdict_filter_is_kept_in_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = world.keep(tmp_path, world.findings())
    address = {"report": report, "tab": "By user group", "axis": "name_origin", "measure": "reach"}
    text = said(opened(tmp_path, monkeypatch, "audit", **address, verdict="disparity"))
    assert "0.55" in text
    assert "suppressed" not in text.split("As a bias-audit table")[0]
    assert "No figure has this verdict." in said(opened(tmp_path, monkeypatch, "audit", **address, verdict="flagged"))


def test_a_row_that_is_not_in_the_report_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = world.keep(tmp_path, world.findings())
    text = said(opened(tmp_path, monkeypatch, "audit", report=report, tab="Cause", figure="user/reach/shoe_size"))
    assert "is not in this report" in text
    clean = world.keep(tmp_path, world.findings(clean=True))
    assert "There is no cause to look for" in said(opened(tmp_path, monkeypatch, "audit", report=clean, tab="Cause"))


def test_a_plan_is_declared_with_the_hash_that_was_shown(world_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(world_home, monkeypatch, "audits", tab="Declare", title="Declared here", axes="gender")
    shown = said(app)
    next(button for button in app.button if button.label == "Declare").click().run()
    assert not app.exception
    (plan,) = [one for one in list_plans(Paths(world_home)) if one.title == "Declared here"]
    assert plan.axes == ("gender",)
    assert plan.plan_hash[:16] in shown
    assert f"Declared as {plan.plan_id}." in said(app)
    store = Store.open(Settings(home=world_home))
    entries = [entry for entry in Ledger(store).entries() if entry.action == "audit.plan"]
    store.close()
    assert entries[-1].details["plan_hash"] == plan.plan_hash


def test_a_plan_outside_its_limits_is_refused_by_name(world_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(world_home, monkeypatch, "audits", tab="Declare", title="No axis")
    next(one for one in app.multiselect if one.label == "User groups").set_value([]).run()
    assert "Axes == (): must name at least one" in said(app)


def test_a_run_shows_its_progress_and_leads_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = world.keep(tmp_path, world.findings())

    def pretended(plan_id: str, progress: Any, actor: str) -> str:
        assert (plan_id, actor) == (world.plan().plan_id, "local")
        progress("Slates", 1, 4)
        progress("Slates", 4, 4)
        return report

    monkeypatch.setattr(loaders, "run", pretended)
    app = opened(tmp_path, monkeypatch, "audits", tab="Plans")
    next(button for button in app.button if button.label == "Run this plan").click().run()
    assert not app.exception
    assert f"Kept as {report}." in said(app)
    assert app.status[0].state == "complete"


def test_a_report_is_handed_out_as_it_is_kept_and_the_ledger_says_to_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = world.keep(tmp_path, world.findings())
    monkeypatch.setenv("RECOMMENDR_HOME", str(tmp_path))
    report = loaders.report(report_id)
    kept = (tmp_path / "audit" / "reports" / f"{report_id}.json").read_bytes()
    assert loaders.exporter(report, "json", "kim")() == kept
    assert json.loads(kept)["hash"] == report.digest
    store = Store.open(Settings(home=tmp_path))
    (entry,) = [entry for entry in Ledger(store).entries() if entry.action == "audit.export"]
    store.close()
    assert (entry.actor, entry.subject) == ("kim", report_id)


def test_groups_of_an_axis_are_those_a_reference_can_be(world_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_HOME", str(world_home))
    assert loaders.groups("region") == ["NO", "SE"]
    assert loaders.groups("gender") == ["woman", "man"]
    assert loaders.groups("gender × region") == []
    assert loaders.groups("language") == ["en", "sv"]


def test_fields_left_open_are_those_of_the_workspace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_HOME", str(world[0]))
    made = loaders.draft({"index_version": world[1][1], "title": "T"})
    assert isinstance(made, AuditPlan)
    assert (made.title, made.index_version, made.k_anonymity) == ("T", world[1][1], 10)


@pytest.mark.ui
@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_tab_of_an_audit_has_a_barrier(browser: Any, console: Console, found: str, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/audit?report={found}")
        check(page, mode=mode, width=width)
        for tab in TABS:
            if tab != "Cause":  # its index version is none of this workspace
                turn(page, tab)
                check(page, mode=mode, width=width)


@pytest.mark.ui
@pytest.mark.parametrize(("mode", "width"), [("dark", WIDE), ("light", NARROW)])
def test_no_tab_of_audits_has_a_barrier(browser: Any, console: Console, found: str, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/audits?report={found}")
        check(page, mode=mode, width=width)
        for tab in ("Plans", "Declare"):
            turn(page, tab)
            check(page, mode=mode, width=width)


@pytest.mark.ui
def test_a_disparity_leads_to_its_cause_by_a_link(browser: Any, console: Console, found: str) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/audit?report={found}")
        page.get_by_role("link", name="why?").first.click()
        page.get_by_text(world.FOUND_WORDS).wait_for()
        assert query(page)["figure"] == [world.DISPARITY.key]
        assert query(page)["tab"] == ["Cause"]
        assert page.evaluate("window.hacked") is None
