"""`recommendr monitor run`, `findings`, `alerts`, `silence`, `rules` and so on: watching, for people and schedulers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from dashboard.cli import options
from dashboard.cli.output import answer, note
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError, StateError

if TYPE_CHECKING:
    from monitoring.alerts.rules import Rules
    from monitoring.ground import Detector, Ground
    from monitoring.reports import RunReport
    from workspace.settings import Settings
    from workspace.store import Store

EXIT_FIRING: Final = 1
EXIT_FAULT: Final = 2
FailOn = Literal["info", "warning", "critical", "never"]
Severity = Literal["info", "warning", "critical"]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="How many at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module, and those of remediation, to the group of the monitor."""
    from dashboard.cli import monitor_remediate

    app.command()(run)
    app.command()(runs)
    app.command()(findings)
    app.command()(alerts)
    app.command()(outbox)
    app.command()(silence)
    app.command()(silences)
    app.command()(unsilence)
    app.command()(rules)
    app.add_typer(monitor_remediate.app, name="remediate")


def run(
    detector: Annotated[
        list[str] | None, typer.Option("--detector", metavar="D", help="Only this detector; may be repeated.")
    ] = None,
    deliver: Annotated[bool, typer.Option("--deliver/--no-deliver", help="Hand messages over at the end.")] = True,
    deliver_only: Annotated[
        bool, typer.Option("--deliver-only", help="Look at nothing; hand over what waits in the outbox.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and run whenever there is something new.")] = False,
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", metavar="S", help="info, warning, critical or never: exit code 1 from there on."),
    ] = "warning",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Let every detector look, ask the rules, remedy, and tell; run it from cron.

    Exit code 0 when nothing fires, 1 when something fires that is not silenced, 2 when something could not be done (a
    rule that can't be, a detector that failed): the report says what, and everything else was done.
    """
    _together("--watch", {"--json": watch and as_json, "--deliver-only": watch and deliver_only})
    _together("--deliver-only", {"--detector": deliver_only and detector, "--no-deliver": deliver_only and not deliver})
    if deliver_only:
        _deliver_only(home, as_json=as_json)
        return
    with _opened(home) as ground:
        from dashboard.cli import monitor_rendering

        def once(only: Sequence[str] | None = None) -> "RunReport":
            from monitoring.runs import Runner

            return Runner(ground, _detectors(), only=detector or only, actor=ACTOR, send=deliver).run()

        if watch:
            _watch(ground, once)
        report = once()
        answer(report.to_dict(), monitor_rendering.report, as_json=as_json)
    _exit(report, fail_on)


def runs(limit: Limit = 20, home: options.Home = None, as_json: options.Json = False) -> None:
    """List what runs found, the latest first; one row for each time that it was something else."""
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.runs import history

        rows = [
            {
                "run_id": one.run_id,
                "started_at": one.started_at,
                "finished_at": one.finished_at,
                "as_of": one.as_of,
                "ok": one.ok,
                "findings": len(one.findings),
                "firing": len(one.firing()),
                "faults": len(one.faults),
            }
            for one in history(store, limit)
        ]
        answer({"runs": rows}, monitor_rendering.runs, as_json=as_json)


def findings(
    detector: Annotated[str, typer.Option("--detector", metavar="D", help="Pattern, as drift.*")] = "*",
    severity: Annotated[
        Severity, typer.Option("--severity", metavar="S", help="At least info, warning or critical.")
    ] = "info",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show what the last run found: where, when, how large, and what probably caused it."""
    with _stored(home) as (_, store):
        from fnmatch import fnmatchcase

        from dashboard.cli import monitor_rendering
        from monitoring.alerts.signals import RANKS

        report = _latest(store)
        shown = [
            one.to_dict()
            for one in report.findings
            if fnmatchcase(one.detector, detector) and RANKS[one.severity] >= RANKS[severity]
        ]
        notes = [
            {"detector": one.detector, "note": text}
            for one in report.outcomes
            if fnmatchcase(one.detector, detector)
            for text in one.notes
        ]
        document = {"run_id": report.run_id, "as_of": report.as_of, "findings": shown, "notes": notes}
        answer(document, monitor_rendering.findings, as_json=as_json)


def alerts(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Limit = 100,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the alerts that are pending or fire, the latest first."""
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.records import OPEN, State
        from monitoring.alerts.states import alerts_in
        from workspace.clock import SystemClock

        wanted: Sequence[State] = (*OPEN, "resolved") if every else OPEN
        rows = [
            {**alert.to_dict(), "silence": None if quiet is None else quiet.to_dict()}
            for alert, quiet in alerts_in(store, SystemClock().now(), wanted, limit)
        ]
        answer({"alerts": rows}, monitor_rendering.alerts, as_json=as_json)


def outbox(limit: Limit = 50, home: options.Home = None, as_json: options.Json = False) -> None:
    """List the messages about alerts, the newest first: those on their way and those received."""
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.outbox import messages, waiting

        document = {"waiting": waiting(store), "messages": [one.to_dict() for one in messages(store, limit)]}
        answer(document, monitor_rendering.outbox, as_json=as_json)


def silence(
    matchers: Annotated[
        list[str], typer.Argument(metavar="LABEL=PATTERN...", help="Which alerts, as rule=drift market=central_*.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence.")],
    lasts: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long, as 2h or 3d; at most 90d.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Keep alerts from being told for a while; they go on all the same, and are told when it ends."""
    chosen = _matchers(matchers)
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.silences import Silences
        from monitoring.burn import duration

        made = Silences(store).add(chosen, reason, duration(lasts), ACTOR)
        answer(made.to_dict(), monitor_rendering.silence, as_json=as_json)


def silences(
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the silences, the newest first."""
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.silences import Silences

        rows = [one.to_dict() for one in Silences(store).all(active=not every)]
        answer({"silences": rows}, monitor_rendering.silences, as_json=as_json)


def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="Silence id.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """End a silence before its time."""
    with _stored(home) as (_, store):
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.silences import Silences

        answer(Silences(store).end(silence_id, reason, ACTOR).to_dict(), monitor_rendering.silence, as_json=as_json)


def rules(
    check: Annotated[bool, typer.Option("--check", help="Exit code 2 when a rule or a route can't be used.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show the rules and routes that count, those that can't be used and why, and the variables that are not set."""
    with _opened(home) as ground:
        from dashboard.cli import monitor_rendering
        from monitoring.alerts.routes import missing_variables

        found = _rules(ground)
        unset = sorted({name for route in found.routes.values() for name in missing_variables(route)})
        answer({**found.to_dict(), "unset_variables": unset}, monitor_rendering.rules, as_json=as_json)
    if check and (found.problems or unset):
        raise typer.Exit(EXIT_FAULT)


def _deliver_only(home: Path | None, *, as_json: bool) -> None:
    with _opened(home) as ground:
        from dashboard.cli import monitor_rendering
        from monitoring.runs import deliver_due

        sent = deliver_due(ground, _rules(ground))
        answer(sent.to_dict(), monitor_rendering.delivery, as_json=as_json)
    if sent.failed or sent.unrouted:
        raise typer.Exit(EXIT_FAULT)


def _watch(ground: "Ground", once: "Callable[[Sequence[str] | None], RunReport]") -> None:
    """Run again and again until it is interrupted."""
    import time

    from dashboard.cli import monitor_rendering
    from dashboard.cli.output import console
    from monitoring.watching import watch as watched

    note("watching; interrupt to end")
    for report in watched(ground, once, time.sleep):
        console().print(monitor_rendering.report(report.to_dict()))


def _together(option: str, others: Mapping[str, object]) -> None:
    for other, given in others.items():
        if given:
            raise InvalidValueError(f"{option} with {other}", "can't be together", f"leave out {other}")


def _exit(report: "RunReport", fail_on: str) -> None:
    if not report.ok:
        raise typer.Exit(EXIT_FAULT)
    if fail_on != "never" and report.firing(fail_on):
        raise typer.Exit(EXIT_FIRING)


def _latest(store: "Store") -> "RunReport":
    from monitoring.runs import latest

    report = latest(store)
    if report is None:
        raise StateError("the monitor has not run yet", hint="run `recommendr monitor run`")
    return report


def _rules(ground: "Ground") -> "Rules":
    from monitoring.alerts.rules import load_rules
    from monitoring.runs import known_names

    return load_rules(ground.paths, known_names(ground, _detectors()))


def _detectors() -> "Sequence[Detector]":
    from monitoring.detectors import ALL

    return ALL


def _matchers(texts: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for text in texts:
        label, sign, pattern = text.partition("=")
        if not sign or not label or not pattern:
            raise InvalidValueError(f"matcher == {text!r}", "must be LABEL=PATTERN", "write it as rule=drift")
        if label in chosen:
            raise InvalidValueError(f"matcher == {text!r}", "must be the only one of its label", "make two silences")
        chosen[label] = pattern
    return chosen


@contextmanager
def _opened(home: Path | None) -> Iterator["Ground"]:
    """Open everything detectors stand on."""
    with workspace(home) as settings:
        from monitoring.ground import opened

        with opened(settings) as ground:
            yield ground


@contextmanager
def _stored(home: Path | None) -> Iterator[tuple["Settings", "Store"]]:
    """Open the operational store only."""
    with workspace(home) as settings:
        from workspace.store import Store

        store = Store.open(settings)
        try:
            yield settings, store
        finally:
            store.close()
