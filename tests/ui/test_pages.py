"""The pages in a real browser: both modes, both widths, links, refresh, and titles that try to be code."""

from typing import Any
from urllib.parse import urlparse

import pytest

from tests.ui.browsing import NARROW, WIDE, check, go, query, settled, turn, visit
from tests.ui.conftest import Console
from tests.ui.small_world import COLD_USER, NASTY, NASTY_TITLE

pytestmark = pytest.mark.ui

TABS = ("History", "What if", "Why not", "Funnel", "Vectors", "Compare", "Replay")
VIEWS = ("Sources", "Neighbours", "Who gets it", "Map")


def shown(page: Any) -> list[str]:
    return [card.get_attribute("data-film") for card in page.locator(".rr-card").all()]


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", NARROW)])
def test_no_tab_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    with visit(browser, console, mode=mode, width=width) as page:
        go(page, f"{console.url}/recommendations?user=u3&find=number+7")
        check(page, mode=mode, width=width)
        for tab in TABS:
            turn(page, tab)
            check(page, mode=mode, width=width)
        go(page, f"{console.url}/film?film={NASTY}")
        for tab in VIEWS:
            turn(page, tab)
            check(page, mode=mode, width=width)


@pytest.mark.parametrize(("mode", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)])
def test_no_page_has_a_barrier(browser: Any, console: Console, mode: str, width: int) -> None:
    paths = ["catalogue", "film"]
    if (mode, width) not in (("light", WIDE), ("dark", NARROW)):
        paths += ["recommendations?user=u3", f"film?film={NASTY}"]
    else:
        paths += ["recommendations?user=nobody&on=never"]
    with visit(browser, console, mode=mode, width=width) as page:
        for path in paths:
            go(page, f"{console.url}/{path}")
            check(page, mode=mode, width=width)


def test_landing_leads_to_goals_without_charts(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        loaded: list[str] = []
        page.on("response", lambda response: loaded.append(response.url))
        page.goto(console.url)
        page.locator(".rr-tree").wait_for()
        settled(page)
        assert urlparse(page.url).path == "/goals"
        assert not [url for url in loaded if "plotly" in url.casefold()]


def test_titles_are_shown_literally_and_never_run(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?user=u0&from=1980&to=1980&tab=Why+not&find=bold&film={NASTY}")
        assert NASTY in shown(page)
        card = page.locator(f'.rr-card[data-film="{NASTY}"]')
        assert card.locator(".rr-title").inner_text() == NASTY_TITLE
        assert "<script>window.hacked=1</script>" in card.locator(".rr-synopsis").inner_text()
        assert NASTY_TITLE in page.locator("[data-testid=stMain]").inner_text()
        for view in ("Facts", "Neighbours", "Map"):
            go(page, f"{console.url}/film?film={NASTY}&view={view}")
            assert page.locator("h1").inner_text() == NASTY_TITLE
        for tab in ("History", "What+if", "Compare"):
            go(page, f"{console.url}/recommendations?user=u1&tab={tab}&film={NASTY}")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0
        assert page.problems == []


def test_refresh_changes_the_films_without_loading_the_page(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?user=u5")
        before, slate = shown(page), query(page)["slate"]
        page.evaluate("window.stayed = true")
        page.get_by_role("button", name="Refresh").click()
        page.wait_for_function("old => !location.search.includes(old)", arg=slate[0])
        settled(page)
        after = shown(page)
        assert len(before) == len(after) == 5
        assert not set(before) & set(after)
        assert page.evaluate("window.stayed") is True
        page.reload()
        settled(page)
        assert shown(page) == after


def test_deep_link_restores_the_view(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?user=u7&region=SE&exclude=Horror&age=15&from=1985&to=2010&tab=Funnel")
        films, link = shown(page), page.url
        assert page.get_by_role("tab", name="Funnel").get_attribute("aria-selected") == "true"
        slate = query(page)["slate"][0]
    with visit(browser, console) as page:
        go(page, link)
        assert shown(page) == films
        assert query(page)["slate"] == [slate]
        assert page.get_by_role("tab", name="Funnel").get_attribute("aria-selected") == "true"
        page.get_by_role("tab", name="History").click()
        page.wait_for_function("location.search.includes('tab=History')")
        settled(page)
        assert shown(page) == films, "opening a tab logs no slate"
        assert query(page)["slate"] == [slate]
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?slate={slate}")
        assert shown(page) == films
        given = query(page)
        assert (given["user"], given["exclude"], given["from"]) == (["u7"], ["Horror"], ["1985"])


def test_chosen_films_live_in_the_address_by_their_ids(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?user=u9&tab=What+if")
        third = page.locator(".rr-card").nth(2)
        film = third.get_attribute("data-film")
        page.get_by_role("combobox", name="Film to explain").click()
        page.get_by_role("option").nth(2).click()
        page.wait_for_function("film => new URLSearchParams(location.search).get('film') === film", arg=film)
        settled(page)
        without = page.get_by_role("combobox", name="Leave out of the history")
        without.press_sequentially("number")
        page.get_by_role("option").first.click()
        page.wait_for_function("new URLSearchParams(location.search).get('without')?.startsWith('f')")
        settled(page)
        page.get_by_text("Without the chosen films", exact=True).wait_for()
        link = page.url
    with visit(browser, console) as page:
        go(page, link)
        assert page.url == link
        page.get_by_text("Without the chosen films", exact=True).wait_for()
        chosen = page.get_by_role("combobox", name="Film to explain")
        assert "3 ·" in (
            chosen.input_value() or chosen.locator("xpath=ancestor::*[@data-testid='stSelectbox']").inner_text()
        )


def test_catalogue_says_who_serves_and_lets_hashes_be_verified(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/catalogue?source=aurora")
        said = page.locator("[data-testid=stMain]").inner_text()
        assert "borealis down: connection refused." in said
        assert "Served by aurora." in said
        assert "Fresh:" in said
        assert "1 row;" in said
        page.get_by_role("button", name="Verify hashes").click()
        page.get_by_text("Every file has the hash it was published with.").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download as CSV", exact=True).click()
        rows = download.value.path().read_text()
        assert "duplicate id" in rows
        assert "'=cmd" in rows, "a spreadsheet must not take the value for a formula"
        assert "borealis" not in rows


def test_cold_user_gets_five_films_and_an_explanation(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/recommendations?user={COLD_USER}&tab=History")
        assert len(shown(page)) == 5
        page.get_by_text("This user has no history by this date.").wait_for()


def test_unknown_film_is_named_and_the_search_finds_another(browser: Any, console: Console) -> None:
    with visit(browser, console) as page:
        go(page, f"{console.url}/film?film=f999")
        page.get_by_text("is not in the catalogue").wait_for()
        go(page, f"{console.url}/film?find=number+7")
        page.get_by_role("link", name="Film number 7 (1987)").click()
        page.locator("h1", has_text="Film number 7").wait_for()
        assert query(page)["film"] == ["f7"]
