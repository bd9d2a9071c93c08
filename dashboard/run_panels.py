"""What the pages of monitoring share: when the monitor last looked, what it could not do, and its findings."""

from collections.abc import Sequence

from dashboard import components
from dashboard.components import Tone
from dashboard.loaders import watching
from monitoring.findings import Finding, Severity
from monitoring.reports import RunReport

TONES: dict[Severity, Tone] = {Severity.CRITICAL: "bad", Severity.WARNING: "warn", Severity.INFO: "info"}
COMMAND = "recommendr monitor run"


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
    """Return when a finding began, with the interval of that, and when it was over."""
    onset = finding.onset
    fine = (onset.high - onset.low).total_seconds() < 86_400  # noqa: PLR2004 - a day
    form = "%Y-%m-%d %H:%M" if fine else "%Y-%m-%d"
    began = f"{onset.at:{form}} ({onset.low:{form}} to {onset.high:{form}})"
    return began, "lasts" if finding.ended is None else f"{finding.ended:{form}}"


def likely(finding: Finding) -> str:
    """Return the likeliest cause of a finding, in words."""
    if not finding.causes:
        return "none of what was changed then fits"
    first = finding.causes[0]
    return f"{first.change.kind.replace('_', ' ')} {first.change.name} ({first.weight:.0%})"


def listed(findings: Sequence[Finding], caption: str) -> None:
    """List findings with where, when, how large and why."""
    rows = [
        (one.metric, place(one), components.pill(one.severity.value, TONES[one.severity]), *when(one), effect(one),
         likely(one), one.summary)
        for one in findings
    ]  # fmt: skip
    components.table(
        ("What", "Where", "Severity", "Began (UTC)", "Over", "How large", "Likely cause", "In words"),
        rows,
        caption=caption,
        tight=("Over", "How large"),
    )


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
