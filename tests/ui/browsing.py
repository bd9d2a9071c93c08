"""A visitor's browser: opens pages, waits until they stand, and hears everything that goes wrong in them."""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.ui.conftest import Console

WIDE, NARROW = 1280, 390
PATIENCE_MS = 90_000  # a busy machine is no defect of a page
# Streamlit looks for its server under the page's own address first, and asks again at the root.
PROBE = "/_stcore/"


@contextlib.contextmanager
def visit(browser: Any, console: Console, *, mode: str = "light", width: int = WIDE) -> Iterator[Any]:
    """Open a tab that collects what goes wrong in it.

    Tabs are of one visitor, whose browser has kept what it loaded: to load the charts anew costs seconds a tab.
    """
    context = browser.contexts[0] if browser.contexts else browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=mode)
    page.problems = []

    def heard(message: Any) -> None:
        probing = PROBE in (message.location or {}).get("url", "")
        if message.type == "error" and not probing:
            page.problems.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if _outside(request.url, console) else None)
    yield page
    page.close()


def _outside(url: str, console: Console) -> bool:
    return (
        urlparse(url).scheme in ("http", "https", "ws", "wss") and urlparse(url).netloc != urlparse(console.url).netloc
    )


def go(page: Any, address: str) -> None:
    page.goto(address)
    settled(page)


def settled(page: Any) -> None:
    page.locator(".rr").first.wait_for()
    page.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
    page.wait_for_function("!document.querySelector('[data-stale=true]') && !document.querySelector('.stSkeleton')")
    # What was stale fades back in: half-way its contrast is not that of the page.
    page.wait_for_function(
        "document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)"
    )


def check(page: Any, *, mode: str, width: int) -> None:
    """No barrier, no sideways scrolling, nothing in the console."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert not found, [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
    overflow = "[document.documentElement, document.querySelector('.stMain')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(page.evaluate(overflow)) <= 0
    assert page.problems == []
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == mode
    assert page.viewport_size["width"] == width


def query(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def turn(page: Any, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()
    page.wait_for_function(
        "tab => new URLSearchParams(location.search).toString().includes(tab)", arg=tab.replace(" ", "+")
    )
    settled(page)
