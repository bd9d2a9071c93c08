"""The experiment pages in a real browser: barriers, the verdict, rewinding, links, hostile plans."""

import json
import re
from typing import Any

import pytest

from tests.ui.browsing import NARROW, WIDE, check, go, query, settled, turn, visit
from tests.ui.conftest import Console
from tests.ui.small_world import DRAFT, NASTY_TITLE

pytestmark = pytest.mark.ui

LIFT = "exp_ctr_lift"
PANELS = ("Breakdown", "Over time", "Health", "False alarms", "Plan", "Evidence")


def main_text(page: Any) -> str:
    return str(page.locator("[data-testid=stMain]").inner_text())


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_panel_of_an_experiment_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/experiment?experiment={LIFT}")
        check(page, mode=mode, width=width)
        for tab in PANELS:
            turn(page, tab)
            check(page, mode=mode, width=width)


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW), ("light", NARROW), ("dark", WIDE)])
def test_no_list_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/experiments")
        check(page, mode=mode, width=width)
        turn(page, "Design")
        check(page, mode=mode, width=width)


def test_the_list_leads_to_a_verdict_with_its_reason(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiments")
        page.get_by_role("link", name=LIFT, exact=True).click()
        page.get_by_text("What would change this").wait_for()
        settled(page)
        assert query(page)["experiment"] == [LIFT]
        said = main_text(page)
        assert any(word in said for word in ("Ship:", "Roll back:", "Keep running:", "Can't tell:"))
        assert "users exposed" in said
        page.locator(".js-plotly-plot").first.wait_for()
        assert "recommendr experiment analyse" in said


def test_rewinding_shows_the_day_and_stays_in_the_link(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiment?experiment={LIFT}")
        last = re.search(r"--as-of (\S+)", main_text(page))
        slider = page.get_by_role("slider", name="Verdict as of")
        slider.focus()
        slider.press("Home")
        page.wait_for_function("new URLSearchParams(location.search).has('as_of')")
        page.get_by_text("none yet").wait_for()
        settled(page)
        first = re.search(r"--as-of (\S+)", main_text(page))
        assert first
        assert last
        assert first.group(1) < last.group(1)
        assert "Keep running" in main_text(page)
        link = page.url
    with visit(browser, console) as page:
        go(page, link)
        assert f"--as-of {first.group(1)}" in main_text(page)


def test_without_the_adjustment_the_figures_are_the_raw_ones(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiment?experiment={LIFT}&cuped=false")
        assert "--raw" in main_text(page)
        assert page.problems == []


def test_evidence_can_be_taken_away_and_holds_the_plan(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiment?experiment={LIFT}&tab=Evidence")
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Download as JSON").click()
        document = json.loads(waiting.value.path().read_text())
        assert LIFT in json.dumps(document)
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Download as HTML").click()
        html = waiting.value.path().read_text()
        assert not re.search(r"(?:src|href)=[\"']?https?:", html), "self-contained"


def test_a_hostile_draft_is_shown_literally(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiment?experiment={DRAFT}&tab=Plan")
        assert NASTY_TITLE[:60] in main_text(page)
        assert "There is nothing to judge yet." in main_text(page)
        assert page.evaluate("window.hacked") is None
        go(page, f"{console.url}/experiment?experiment=exp_nobody")
        page.get_by_text("is not registered").wait_for()


def test_the_calculator_says_users_and_days(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/experiments?tab=Design&mde=20.0&share=90.0")
        said = main_text(page)
        found = re.search(r"([\d,]+) users in all find a change of 20 %", said)
        assert found
        smaller = int(found.group(1).replace(",", ""))
        go(page, f"{console.url}/experiments?tab=Design&mde=10.0&share=90.0")
        found = re.search(r"([\d,]+) users in all find a change of 10 %", main_text(page))
        assert found
        assert 3.2 < int(found.group(1).replace(",", "")) / smaller < 4.8, "a quarter of the effect squared"
