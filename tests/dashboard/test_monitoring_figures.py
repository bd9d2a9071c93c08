"""Figures of the pages of monitoring: findings along time, trees, block diagrams; hostile words stay words."""

import datetime as dt
from typing import Any

import pytest

from dashboard import block_diagram, run_panels, tree
from dashboard.findings_chart import Event, Stretch, stretches
from dashboard.tree import Branch
from monitoring.findings import Cause, Change, Finding, Interval, Onset, Severity
from monitoring.reliability import ComponentAvailability, layout, parse, reliability

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NASTY = '<img src=x onerror="hacked()">'


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is put on the page as HTML."""
    kept: list[str] = []
    for module in (tree, block_diagram):
        monkeypatch.setattr(module, "show", kept.append)
    return kept


def stretch(label: str, began: dt.datetime, ended: dt.datetime | None = None) -> Stretch:
    return Stretch(
        label=label, summary=f"{label} changed", began=began, low=began - DAY, high=began + DAY, ended=ended,
        grade="warning",
    )  # fmt: skip


def finding(**changes: Any) -> Finding:
    made: dict[str, Any] = {
        "detector": "drift.telemetry", "metric": "ctr", "segment": {"market": "central_asia"}, "unit": "relative",
        "onset": Onset(at=NOW, low=NOW - DAY, high=NOW + DAY), "effect": Interval(value=-0.38, low=-0.45, high=-0.3),
        "severity": Severity.CRITICAL, "summary": "CTR fell.",
    }  # fmt: skip
    return Finding(**{**made, **changes})


def test_stretches_are_drawn_newest_on_top_and_said_in_words() -> None:
    older, newer = stretch("older", NOW - 9 * DAY, NOW - 5 * DAY), stretch("newer", NOW - 2 * DAY)
    figure = stretches([older, newer], span=(NOW - 30 * DAY, NOW), events=[Event(name="v2", at=NOW)], mode="dark")
    assert list(figure.chart.layout.yaxis.ticktext) == ["newer", "older"]
    bars = [trace for trace in figure.chart.data if trace.line.width == 9]
    assert [trace.x[1] for trace in bars] == [NOW, NOW - 5 * DAY]
    assert (
        figure.alt == "Findings by when they began: newer from 2026-04-29; older from 2026-04-22. 1 changes are marked."
    )


def test_stretches_show_labels_literally() -> None:
    figure = stretches([stretch(NASTY, NOW)], span=(NOW - DAY, NOW), mode="light")
    assert "<img" not in str(figure.chart.to_json())
    assert stretches([], span=(NOW - DAY, NOW), mode="light").alt == "No findings in this time."


def test_tree_nests_children_and_escapes_words(shown: list[str]) -> None:
    child = Branch(title=NASTY, state="missed", tone="bad", feeds=(("Risks", (NASTY,)), ("Nothing", ())))
    tree.draw(
        [Branch(title="Top", state="met", tone="good", link="drift", figure="1 %", children=(child,))], label="Goals"
    )
    (markup,) = shown
    assert "<img" not in markup
    assert markup.count("<li>") == 2
    assert markup.index("Top") < markup.index("&lt;img")
    assert '<a href="drift" target="_self">' in markup
    assert "Nothing" not in markup


DIAGRAM = """
title = "It works"
system = "all"
[component.a]
title = "<b>A</b>"
availability = 0.9
[component.b]
title = "B"
availability = 0.99
[block.all]
title = "All"
kind = "series"
of = ["a", "b"]
"""


def test_block_diagram_shows_every_component_with_its_share(shown: list[str]) -> None:
    diagram = parse(DIAGRAM, "test")
    parts = {
        name: ComponentAvailability(
            name=name, title=one.title, value=Interval(value=one.availability or 0.0), measured=False
        )
        for name, one in diagram.components.items()
    }
    block_diagram.draw(layout(diagram), parts, reliability(diagram, parts))
    (markup,) = shown
    assert "<b>A</b>" not in markup
    assert "90.000%" in markup
    assert 'aria-label="Block diagram from left to right: &lt;b&gt;A&lt;/b&gt; 90.000%, B 99.000%."' in markup


def test_findings_are_told_with_place_size_and_time() -> None:
    one = finding()
    assert run_panels.titled(one) == "Click-through rate, market central_asia, 2026-05-01"
    assert run_panels.effect(one) == "−38.0% (−45.0% to −30.0%)"
    assert run_panels.size(one) == "−38.0%"
    assert run_panels.when(one) == ("2026-05-01", "lasts")
    assert run_panels.between(one) == "2026-04-30 to 2026-05-02"
    assert run_panels.likely(one) == "none of what was changed then fits"


def test_incidents_are_told_to_the_minute_and_in_their_own_unit() -> None:
    at = NOW + dt.timedelta(hours=13)
    minute = dt.timedelta(minutes=5)
    change = Change(kind="index_version", name="v7", at=at)
    one = finding(
        segment={}, unit="share of impressions", effect=Interval(value=0.5), ended=at + minute,
        onset=Onset(at=at, low=at - minute, high=at), causes=(Cause(change=change, weight=0.6, reason="same day"),),
    )  # fmt: skip
    assert run_panels.place(one) == "everywhere"
    assert run_panels.when(one) == ("2026-05-01 13:00", "2026-05-01 13:05")
    assert run_panels.effect(one) == "+0.5 share of impressions"
    assert run_panels.likely(one) == "index version v7 (60%)"
