"""The pages of monitoring in a real browser: barriers, from a goal to its reason, silences, what-if, hostile words."""

from typing import Any
from urllib.parse import urlparse

import pytest

from tests.ui.browsing import NARROW, WIDE, check, go, query, settled, turn, visit
from tests.ui.conftest import Console
from tests.ui.small_world import NASTY_TITLE

pytestmark = pytest.mark.ui

TABS = {
    "goals": ("Figures",),
    "drift": ("Course", "Segments", "Model"),
    "outliers": ("Films", "Slates", "Requests"),
    "alerts": ("Objectives", "Silences", "Messages"),
    "reliability": ("Components", "What if"),
    "markets": ("One index or several", "Cost"),
}


def main_text(page: Any) -> str:
    return str(page.locator("[data-testid=stMain]").inner_text())


@pytest.mark.parametrize("name", TABS)
@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_tab_of_monitoring_has_a_barrier(browser: Any, console: Console, name: str, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/{name}")
        check(page, mode=mode, width=width)
        for tab in TABS[name]:
            turn(page, tab)
            check(page, mode=mode, width=width)


@pytest.mark.parametrize(("mode", "width"), [("dark", WIDE), ("light", NARROW)])
def test_no_first_tab_has_a_barrier_in_the_other_modes(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        for name in ("goals", "drift", "alerts"):
            go(page, f"{console.url}/{name}")
            check(page, mode=mode, width=width)


def test_a_goal_leads_to_the_page_that_explains_it(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/goals")
        page.get_by_role("link", name="precision@5 of at least 20 %").click()
        page.get_by_role("heading", name="Drift").wait_for()
        assert urlparse(page.url).path == "/drift"


def test_the_fault_tree_is_the_same_tree_inverted_and_a_link(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/goals")
        goals = page.locator(".rr-node").count()
        page.locator("label", has_text="As a fault tree").click()
        page.get_by_text("does not grow by 5 %").first.wait_for()
        settled(page)
        assert page.locator(".rr-node").count() == goals
        assert query(page)["faults"] == ["true"]
        go(page, page.url)
        assert "does not grow by 5 %" in main_text(page)


def test_a_figure_entered_by_hand_is_taken_and_a_wrong_one_named(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/goals?view=Figures")
        page.get_by_role("textbox", name="Period", exact=True).fill("2025-13")
        page.get_by_role("textbox", name="Money of the period", exact=True).fill("1000")
        page.get_by_role("button", name="Enter").click()
        page.get_by_text("2025-13").first.wait_for()
        page.get_by_role("textbox", name="Period", exact=True).fill("2025-05")
        page.get_by_role("textbox", name="Money of the period", exact=True).fill("1,234.50")
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("cell", name="1,234.50").wait_for()


def test_an_alert_is_silenced_with_a_reason_and_told_again_after(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/alerts?tab=Silences")
        page.get_by_role("textbox", name="Value", exact=True).fill("drift*")
        page.get_by_role("button", name="Silence").click()
        page.get_by_role("alert").first.wait_for()
        page.get_by_role("textbox", name="Value", exact=True).fill("drift*")
        page.get_by_role("textbox", name="Reason", exact=True).fill("moving house")
        page.get_by_role("button", name="Silence").click()
        page.get_by_role("cell", name="moving house").wait_for()
        page.get_by_role("textbox", name="Reason for ending it", exact=True).fill("moved")
        page.get_by_role("button", name="End it").click()
        page.get_by_text("Nothing is silenced.").wait_for()


def test_a_second_copy_of_a_component_makes_the_system_surer(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/reliability?tab=What+if&copies=2&block=sign_in")
        page.get_by_text("Suppose:").wait_for()
        said = main_text(page)
        assert "2 copies of" in said
        assert "min" in said


def test_hostile_words_of_a_finding_are_shown_as_words(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        for address in ("drift", "goals", "alerts"):
            go(page, f"{console.url}/{address}")
            assert page.evaluate("window.hacked") is None
        go(page, f"{console.url}/drift")
        assert NASTY_TITLE in main_text(page)
