"""What the pages say when there is nothing to show, or something wrong: always what, limit and cure."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit.erasure import Subjects
from dashboard.access import Viewer
from recommender.index import current_version
from tests.ui.small_world import CHILD, COLD_USER
from workspace.errors import UnreachableError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CONSOLE = Path(__file__).parents[2] / "dashboard" / "console.py"
World = tuple[Path, tuple[str, str]]


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, page: str = "recommendations", **query: str) -> AppTest:
    monkeypatch.setenv("RECOMMENDR_HOME", str(home))
    app = AppTest.from_file(str(CONSOLE), default_timeout=60)
    if page == "goals":  # where `/` leads
        app.query_params.update(query)
    with monkeypatch.context() as landing:
        if page != "goals":  # AppTest turns to a page only from another one, which nobody looks at here
            landing.setattr("dashboard.goal_panels.draw", lambda: None)
        app.run()
    if page != "goals":
        app.switch_page(str(CONSOLE.parent.parent / "pages" / f"{page}.py"))
        app.query_params.update(query)
        app.run()
    assert not app.exception, app.exception
    assert not app.error
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def test_telemetry_pages_of_an_empty_workspace_say_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "recommendr telemetry" in said(opened(tmp_path / "none", monkeypatch, "telemetry"))
    assert "recommendr telemetry ingest" in said(opened(tmp_path / "none", monkeypatch, "ingestion"))
    assert "recommendr init" in said(opened(tmp_path / "none", monkeypatch, "system"))
    assert "No line fits" in said(opened(tmp_path / "none", monkeypatch, "trace"))


@pytest.mark.parametrize(("page", "down"), [("telemetry", "dashboard.loaders.telemetry.telemetry"),
                                            ("system", "dashboard.loaders.system.metrics"),
                                            ("ingestion", "dashboard.loaders.ingestion._ingestion")])  # fmt: skip
def test_pages_keep_their_last_good_data_with_its_time(
    world: World, transaction: str, monkeypatch: pytest.MonkeyPatch, page: str, down: str
) -> None:
    assert transaction

    def refuse(*_: object) -> None:
        raise UnreachableError("the warehouse does not answer", hint="see whether it runs")

    module = down.rsplit(".", 1)[0]
    monkeypatch.setattr(f"{module}._TTL", timedelta(0))
    good = said(opened(world[0], monkeypatch, page))
    assert "Shown as of" not in good
    monkeypatch.setattr(down, refuse)
    kept = said(opened(world[0], monkeypatch, page))
    assert re.search(r"Shown as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: the warehouse does not answer", kept)
    assert "See whether it runs" in kept
    marker = {"telemetry": "rr-tile", "system": "gateway", "ingestion": "Accepted"}[page]
    assert marker in good
    assert marker in kept


def test_single_users_are_not_shown_to_another_role(
    world: World, transaction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert transaction
    monkeypatch.setattr("dashboard.access.viewer", lambda: Viewer(actor="kim", role="auditor", local=False))
    text = said(opened(world[0], monkeypatch, "telemetry", tab="Drill down"))
    assert "Single users are for the role ml." in text


def test_system_page_names_a_prometheus_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_PROMETHEUS_URL", "http://reader:secret@127.0.0.1:9")
    text = said(opened(tmp_path / "none", monkeypatch, "system"))
    assert "127.0.0.1:9" in text
    assert "secret" not in text


@pytest.mark.parametrize("page", ["recommendations", "film", "catalogue"])
def test_empty_workspace_shows_the_command_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    query = {"film": "1"} if page == "film" else {}
    assert "recommendr init" in said(opened(tmp_path / "none", monkeypatch, page, **query))


def test_unknown_user_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(opened(world[0], monkeypatch, user="<b>nobody</b>"))
    assert "&lt;b&gt;nobody&lt;/b&gt;" in text
    assert "is not in the catalogue" in text
    assert "<b>nobody" not in text


@pytest.mark.parametrize(
    ("query", "words"),
    [({"on": "31-31-31"}, "must be a day of the calendar"), ({"on": "1900-01-01"}, "first film"),
     ({"region": "XX"}, "is not offered here"), ({"version": "v000"}, "is not offered here"),
     ({"exclude": "Nonsense"}, "is not offered here"), ({"from": "2010", "to": "1990"}, "must be &lt;= year_to"),
     ({"slate": "slate_none"}, "must be a logged slate")],
)  # fmt: skip
def test_bad_address_says_limit_and_cure(
    world: World, monkeypatch: pytest.MonkeyPatch, query: dict[str, str], words: str
) -> None:
    assert words in said(opened(world[0], monkeypatch, user="u2", **query))


def test_filters_that_leave_nothing_name_what_to_relax(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(opened(world[0], monkeypatch, user="u2", **{"from": "2021"}))
    assert "No film may be shown." in text
    assert "widen the years" in text
    assert "never relaxed" in text


def test_laws_that_leave_nothing_are_not_offered_for_relaxing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(opened(world[0], monkeypatch, user=CHILD))
    assert "No film may be shown." in text
    assert "No filter of yours would change that" in text


def test_cold_user_is_explained_not_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(world[0], monkeypatch, user=COLD_USER, tab="What if")
    assert "This user has no history by this date." in said(app)
    assert said(app).count('class="rr-card"') == 5


def test_looking_is_written_to_the_ledger_once_a_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(world[0], monkeypatch, user="u11")
    app.button(key="refresh").click().run()
    store = Store.open(Settings(home=world[0]))
    names = Subjects.open(Settings(home=world[0])).names_of(["u11"])  # the ledger names nobody
    entries = Ledger(store).entries(limit=500)
    assert "u11" not in {entry.subject for entry in entries}
    looks = [entry for entry in entries if entry.subject in names]
    store.close()
    assert [entry.action for entry in looks] == ["user_looked_at"]
    assert looks[0].details == {"role": "ml", "reason": "Debugging a recommendation"}


@pytest.mark.parametrize("page", ["recommendations", "catalogue"])
def test_damaged_index_is_named(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    home = tmp_path / "damaged"
    shutil.copytree(world[0], home)
    version = current_version(Paths(home))
    assert version
    vectors = max((Paths(home).indexes / version).iterdir(), key=lambda file: file.stat().st_size)
    vectors.write_bytes(vectors.read_bytes()[:-64])
    app = opened(home, monkeypatch, page, user="u1")
    if page == "catalogue":
        next(button for button in app.button if button.label == "Verify hashes").click().run()
        assert "is damaged" in said(app)
    else:
        assert "rr-banner bad" in said(app)
        assert version in said(app)
    assert not app.exception
