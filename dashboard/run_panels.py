"""What the pages of monitoring share: when the monitor last looked, what it could not do, and its findings."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from dashboard import components
from dashboard.components import Tone
from dashboard.loaders import watching
from monitoring.findings import Finding, Severity
from monitoring.reports import RunReport
from telemetry.metrics import METRICS

TONES: Final[dict[Severity, Tone]] = {Severity.CRITICAL: "bad", Severity.WARNING: "warn", Severity.INFO: "info"}
COMMAND: Final = "recommendr monitor run"
BY_FEATURE: Final = "score_by_feature"
CAUSE: Final = "cause"
_LARGE: Final = 1_000
MOST_LISTED: Final = 40
_DAY: Final = dt.timedelta(days=1)


def last_looked() -> RunReport | None:
    """Say when the monitor last looked and what it could not do; return its report, None when it has not run yet."""
    run = watching.last_run()
    if run is None:
        components.banner(
            "The monitor has not looked yet.", "It looks whenever a scheduler runs it, or by hand:", command=COMMAND
        )
        return None
    until = f", telemetry to the end of {run.as_of}" if run.as_of else ""
    looked = f"The monitor last looked at {run.finished_at:%Y-%m-%d %H:%M} UTC{until}."
    components.show(f'<p class="rr-muted">{components.text(looked)}</p>')
    for fault in run.faults:
        limit = f", {fault.limit}" if fault.limit else ""
        components.banner(f"{fault.where}: {fault.what}{limit}", fault.hint, tone="warn")
    return run


def place(finding: Finding) -> str:
    """Return where a finding is, in words."""
    return ", ".join(f"{name} {value}" for name, value in sorted(finding.segment.items())) or "everywhere"


def named(metric: str) -> str:
    """Return a metric as people call it.

    Example:
        >>> named("ctr"), named("repeated_lead")
        ('Click-through rate', 'Repeated lead')
    """
    known = {one.name: one.title for one in METRICS}
    return known.get(metric, metric.replace("_", " ").capitalize())


def titled(finding: Finding) -> str:
    """Return what a finding is about, to be told from the others of a page."""
    return f"{named(finding.metric)}, {place(finding)}, {finding.onset.at:%Y-%m-%d}"


def size(finding: Finding) -> str:
    """Return how large a finding is."""
    return effect(finding).split(" (")[0]


def effect(finding: Finding) -> str:
    """Return how large a finding is, with its interval."""
    share = finding.unit in {"relative", "share"}

    def told(value: float) -> str:
        return (f"{value:+.1%}" if share else f"{value:+,.3g}").replace("-", "\u2212")

    found = told(finding.effect.value) + ("" if share else f" {finding.unit}")
    if finding.effect.low is None or finding.effect.high is None:
        return found
    return f"{found} ({told(finding.effect.low)} to {told(finding.effect.high)})"


def when(finding: Finding) -> tuple[str, str]:
    """Return when a finding began and when it was over, as finely as it is known."""
    form = _form(finding)
    return f"{finding.onset.at:{form}}", "lasts" if finding.ended is None else f"{finding.ended:{form}}"


def between(finding: Finding) -> str:
    """Return the interval of the beginning of a finding."""
    form = _form(finding)
    return f"{finding.onset.low:{form}} to {finding.onset.high:{form}}"


def _form(finding: Finding) -> str:
    fine = finding.onset.high - finding.onset.low < _DAY
    midnight = finding.onset.at.time() == dt.time()
    return "%Y-%m-%d %H:%M" if fine and not midnight else "%Y-%m-%d"


def likely(finding: Finding) -> str:
    """Return the likeliest cause of a finding, in words."""
    if not finding.causes:
        return "none of what was changed then fits"
    first = finding.causes[0]
    return f"{first.change.kind.replace('_', ' ')} {first.change.name} ({first.weight:.0%})"


def listed(findings: Sequence[Finding], caption: str) -> None:
    """List findings with where, when, how large and why."""
    rows = [
        (f"{named(one.metric)}, {place(one)}", components.pill(one.severity.value, TONES[one.severity]), *when(one),
         size(one), likely(one), one.summary)
        for one in findings
    ]  # fmt: skip
    components.table(
        ("What and where", "Severity", "Began (UTC)", "Over", "How large", "Likely cause", "In words"),
        rows,
        caption=caption,
        tight=("Severity", "Began (UTC)", "Over"),
    )


def evidence(finding: Finding) -> None:
    """Show what a finding rests on: its plain facts, then its score by feature where it has one."""
    facts = [
        (name.replace("_", " "), _fact(value))
        for name, value in finding.evidence.items()
        if _plain(value) and name != CAUSE
    ]
    if facts:
        components.table(("Evidence", "Value"), facts, caption=f"What it rests on: {titled(finding)}")
    by_feature = finding.evidence.get(BY_FEATURE)
    if isinstance(by_feature, dict) and by_feature:
        terms = sorted(((named(name), float(value)) for name, value in by_feature.items()), key=lambda term: -term[1])
        components.waterfall(
            terms,
            sum(value for _, value in terms),
            caption=f"How odd, feature by feature: {titled(finding)}",
            total_label="Score",
        )


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_LISTED and all(isinstance(one, str) for one in value)
    return isinstance(value, str | int | float)


def _fact(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.4g}"
    return str(value)


def unseen(run: RunReport, detectors: Sequence[str]) -> None:
    """Say what some detectors could not look at, and why."""
    notes = [
        f"{outcome.detector}: {note}"
        for outcome in run.outcomes
        if any(outcome.detector.startswith(name) for name in detectors)
        for note in outcome.notes
    ]
    if notes:
        items = "".join(f"<li>{components.text(note)}</li>" for note in notes)
        components.show(
            f'<details class="rr-muted"><summary>What could not be looked at</summary><ul>{items}</ul></details>'
        )
