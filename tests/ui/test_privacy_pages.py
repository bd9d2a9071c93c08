"""*Ledger*, *Privacy* and *Manipulation* in a real browser: barriers, a chain verified, a person's export."""

from typing import Any

import pytest

from tests.ui.browsing import NARROW, WIDE, check, go, settled, turn, visit
from tests.ui.conftest import Console

pytestmark = pytest.mark.ui

TABS = {"ledger": (), "privacy": ("Erasure and export", "Requests", "Purposes"), "manipulation": ("Edits",)}


@pytest.mark.parametrize("name", TABS)
@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_tab_has_a_barrier(browser: Any, console: Console, name: str, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/{name}")
        check(page, mode=mode, width=width)
        for tab in TABS[name]:
            turn(page, tab)
            check(page, mode=mode, width=width)


def test_the_ledger_is_verified_against_a_noted_head_and_a_wrong_one_is_named(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/ledger")
        head = page.locator(".rr-command").first.inner_text()
        noted = page.get_by_role("textbox", name="Head noted earlier (optional)", exact=True)
        noted.fill("nonsense")
        page.get_by_role("button", name="Verify every record").click()
        page.get_by_text("must be length:hash").first.wait_for()
        noted.fill(head)
        page.get_by_role("button", name="Verify every record").click()
        page.get_by_text("None is missing since record").wait_for()
        length, _, digest = head.partition(":")
        noted.fill(f"{int(length) + 1000}:{digest}")
        page.get_by_role("button", name="Verify every record").click()
        page.get_by_text("missing at the end").wait_for()


def test_records_are_filtered_by_the_address(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/ledger?act=index.switch")
        rows = page.locator(".rr-table tbody tr")
        assert rows.count() >= 1
        assert all("index.switch" in rows.nth(at).inner_text() for at in range(rows.count()))


def test_an_export_is_gathered_and_stands_among_the_requests(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/privacy?tab=Erasure+and+export")
        page.get_by_role("textbox", name="User id to export", exact=True).fill("u7")
        page.get_by_role("button", name="Gather the data").click()
        with page.expect_download() as told:
            page.get_by_role("button", name="Download the data").click()
        assert '"user_id": "u7"' in told.value.path().read_text()
        turn(page, "Requests")
        page.get_by_role("cell", name="export", exact=True).first.wait_for()


def test_nothing_is_erased_without_the_id_twice_nor_for_nobody(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/privacy?tab=Erasure+and+export")
        user = page.get_by_role("textbox", name="User id to erase", exact=True)
        sure = page.get_by_role("textbox", name="The id again, to confirm", exact=True)
        user.fill("u7")
        sure.fill("u8")
        page.get_by_role("button", name="Erase", exact=True).click()
        page.get_by_text("The two ids are not the same.").wait_for()
        for field in (user, sure):
            field.fill("nobody-at-all")
        page.get_by_role("button", name="Erase", exact=True).click()
        page.get_by_role("alert").get_by_text("unknown here").wait_for()
        settled(page)
        go(page, f"{console.url}/recommendations?user=u7&reason=Debugging+a+recommendation")
        assert page.locator(".rr-card").count() == 5
