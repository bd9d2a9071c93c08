"""The telemetry pages in a real browser: barriers, links, the way down to one user, hostile log lines."""

import urllib.request
from typing import Any
from urllib.parse import urlparse

import pytest

from tests.ui.browsing import NARROW, WIDE, check, go, query, settled, turn, visit
from tests.ui.conftest import Console
from tests.ui.small_world import NASTY_TITLE

pytestmark = pytest.mark.ui

PANELS = ("Over time", "Segments", "Drill down", "Survey", "Activity")
MEASURES = ("Within 1 s", "Errors", "CPU", "Memory", "Availability", "Requests", "Sessions")


def main_text(page: Any) -> str:
    return str(page.locator("[data-testid=stMain]").inner_text())


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_panel_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/telemetry?by=market")
        check(page, mode=mode, width=width)
        for tab in PANELS:
            turn(page, tab)
            check(page, mode=mode, width=width)
        go(page, f"{console.url}/system?period=Last+14+days")
        check(page, mode=mode, width=width)
        for tab in MEASURES:
            turn(page, tab)
        check(page, mode=mode, width=width)


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)])
def test_no_page_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        for path in (f"trace?transaction={console.transaction}", "ingestion", "telemetry", "system"):
            go(page, f"{console.url}/{path}")
            check(page, mode=mode, width=width)


def test_tiles_say_value_interval_users_and_change(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/telemetry?period=Last+7+days")
        tiles = page.locator(".rr-tile")
        assert tiles.count() == 7
        first = tiles.first.inner_text()
        assert "%" in first
        assert "[" in first
        assert "users" in first
        assert any(word in first for word in ("unclear", "better", "worse"))
        assert page.locator(".rr-spark").first.bounding_box()["height"] > 10
        tiles.first.get_by_role("link").click()
        page.get_by_text("Clicked share of the films shown").wait_for()
        page.locator(".js-plotly-plot").first.wait_for()
        assert query(page)["metric"] == ["ctr"]
        assert page.locator(".js-plotly-plot").count() == 1


def test_a_segment_leads_to_its_users_and_to_one_users_slates(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/telemetry?tab=Segments&by=region&metric=ctr&period=Last+7+days")
        page.get_by_role("link", name="US", exact=True).click()
        page.get_by_text("Users of the segment: Region US").wait_for()
        settled(page)
        assert query(page)["region"] == ["US"]
        page.locator(".rr-table a").first.click()
        page.get_by_text("The user's slates").wait_for()
        settled(page)
        assert "u0000" not in main_text(page), "pseudonyms only"
        link = page.url
    with visit(browser, console) as page:
        go(page, link)
        page.get_by_text("The user's slates").wait_for()


def test_small_segments_are_withheld_and_counted(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/telemetry?tab=Over+time&by=region&metric=thumbs_down_rate&period=Last+7+days")
        page.get_by_text("withheld for privacy").wait_for()


def test_trace_shows_the_hops_in_order_and_hostile_lines_literally(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/trace?transaction={console.transaction}")
        hops = [hop.inner_text() for hop in page.locator(".rr-hop").all()]
        assert hops == ["gateway", "bff", "user", "content", "recommender"]
        assert NASTY_TITLE[:60] in main_text(page)
        assert page.evaluate("window.hacked") is None
        assert page.problems == []
        go(page, f"{console.url}/trace?transaction=txn_nobody")
        page.get_by_text("must be one that was logged").wait_for()


def test_ingestion_accounts_for_what_was_refused(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/ingestion")
        assert "Every day is rolled up." in main_text(page)
        assert page.locator(".rr-stat", has_text="Quarantined").locator("dd").inner_text().startswith("1")
        page.get_by_role("button", name="Check the stores now").click()
        page.get_by_text("recommendr telemetry doctor").wait_for()


def test_live_asks_again_without_being_told(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/system?live=true")
        assert page.get_by_role("switch", name="Live").or_(page.get_by_role("checkbox", name="Live")).is_checked()
        check(page, mode="light", width=WIDE)


def test_the_console_exports_its_own_metrics(console: Console) -> None:
    with urllib.request.urlopen(f"{console.url}/metrics") as answer:  # noqa: S310 - our own loopback server
        text = answer.read().decode()
    assert urlparse(console.url).hostname == "127.0.0.1"
    assert 'recommendr_up{region="local",service="console"} 1.0' in text
    assert 'le="1.0"' in text
