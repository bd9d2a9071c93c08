"""`recommendr system query` and `recommendr logs`: how the services are, and what they wrote."""

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer
from dashboard.cli.session import workspace
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from telemetry.system import SystemMetrics
    from workspace.settings import Settings

Question = Literal[
    "latency_quantile",
    "request_rate",
    "error_rate",
    "within_latency",
    "cpu",
    "memory",
    "availability",
    "active_sessions",
]
Services = Annotated[
    list[str] | None, typer.Option("--service", metavar="S", help="Only this service; may be repeated.")
]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this day or moment on (UTC).")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until this day or moment (UTC).")]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NICE_STEPS_S: Final = (60, 300, 900, 3_600, 21_600, 86_400, 604_800)
_POINTS: Final = 100
_STEP: Final = re.compile(r"(\d{1,9})([smhdw]?)")
_SHOWN_BEFORE_END: Final = dt.timedelta(days=1)
_LOOKED_BACK: Final = dt.timedelta(days=400)

system_app = helped("Ask how the services are.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(system_app, name="system")
    app.command()(logs)


@system_app.command()
def query(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    question: Annotated[Question, typer.Argument(metavar="QUESTION", help="What to ask.")],
    service: Services = None,
    region: Annotated[
        list[str] | None, typer.Option("--region", metavar="R", help="Only this region; may be repeated.")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="A,B", help="What is kept apart; empty takes everything together.")
    ] = "service,region",
    quantile: Annotated[float, typer.Option("--quantile", metavar="Q", help="Of latency_quantile, 0 to 1.")] = 0.95,
    limit_s: Annotated[
        float, typer.Option("--limit-s", metavar="S", help="Of within_latency, in seconds; a bound of the buckets.")
    ] = 1.0,
    start: From = None,
    end: To = None,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="As 90s, 5m, 1h or 1d.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Ask one question about the services, over services, regions and time."""
    from dashboard.cli import system_rendering

    first, last, width = parse_moment(start, "--from"), parse_moment(end, "--to"), parse_step(step)
    with workspace(home) as settings:
        from telemetry.system import Kind, SystemQuestion, open_system_metrics
        from telemetry.system.questions import UNITS

        metrics = open_system_metrics(settings)
        first, last = _span(metrics, first, last)
        asked = SystemQuestion(
            kind=Kind(question),
            start=first,
            end=last,
            step=width or _step(last - first),
            services=tuple(service) if service else None,
            regions=tuple(region) if region else None,
            by=tuple(name.strip() for name in by.split(",") if name.strip()),
            quantile=quantile,
            limit_s=limit_s,
        )
        document = {
            "question": question,
            "unit": UNITS[asked.kind],
            "source": metrics.name,
            "start": asked.start,
            "end": asked.end,
            "step_s": asked.step_s,
            "rows": metrics.answer(asked).to_dict("records"),
        }
        answer(document, system_rendering.series, as_json=as_json)


def logs(
    transaction: Annotated[
        str | None, typer.Option("--transaction", metavar="ID", help="One request, with its way through the services.")
    ] = None,
    service: Services = None,
    level: Annotated[
        list[str] | None, typer.Option("--level", metavar="L", help="Only this level, e.g. ERROR; may be repeated.")
    ] = None,
    text: Annotated[str, typer.Option("--text", metavar="T", help="Only lines with this text.")] = "",
    start: From = None,
    end: To = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many lines, the newest.")] = 200,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show log lines, newest first; with --transaction the request's hops, then its lines."""
    from dashboard.cli import system_rendering

    first, last = parse_moment(start, "--from"), parse_moment(end, "--to")
    with workspace(home) as settings:
        from telemetry.logs import LogQuestion

        question = LogQuestion(
            start=first,
            end=last,
            services=tuple(service or ()),
            levels=tuple(name.upper() for name in level or ()),
            text=text,
            transaction_id=transaction,
            limit=limit,
        )
        document = _logged(settings, question)
        answer(document, system_rendering.log_lines, as_json=as_json)


def parse_moment(text: str | None, option: str) -> dt.datetime | None:
    """Read a day or a moment; without a zone it is UTC.

    Raises:
        InvalidValueError: When the text is neither.

    Example:
        >>> parse_moment("2026-05-01T12:30", "--from").isoformat()
        '2026-05-01T12:30:00+00:00'
    """
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2026-05-01 or 2026-05-01T12:30"
        raise InvalidValueError(f"{option} == {text!r}", "must be a day or a moment", hint) from error
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


def parse_step(text: str | None) -> dt.timedelta | None:
    """Read a width of time.

    Raises:
        InvalidValueError: When the text is none.

    Example:
        >>> parse_step("90s")
        datetime.timedelta(seconds=90)
    """
    if text is None:
        return None
    found = _STEP.fullmatch(text.strip())
    if found is None:
        raise InvalidValueError(f"--step == {text!r}", "must be a width of time", "write it as 90s, 5m, 1h or 1d")
    try:
        return dt.timedelta(seconds=int(found[1]) * _UNITS_S[found[2] or "s"])
    except OverflowError as error:
        raise InvalidValueError(f"--step == {text!r}", "must be shorter than the time asked for") from error


def _span(
    metrics: "SystemMetrics", start: dt.datetime | None, end: dt.datetime | None
) -> tuple[dt.datetime, dt.datetime]:
    """Complete the time asked for: until the newest sample, a day long."""
    if end is None:
        now = dt.datetime.now(dt.UTC)
        end = metrics.known(now - _LOOKED_BACK, now).last or now
    return (end - _SHOWN_BEFORE_END if start is None else start), end


def _step(length: dt.timedelta) -> dt.timedelta:
    for seconds in _NICE_STEPS_S:
        if length.total_seconds() <= seconds * _POINTS:
            return dt.timedelta(seconds=seconds)
    return dt.timedelta(seconds=_NICE_STEPS_S[-1])


def _logged(settings: "Settings", question: Any) -> dict[str, Any]:  # noqa: ANN401 - its type is loaded later
    from telemetry.logs import search_logs
    from telemetry.traces import trace
    from workspace.paths import Paths

    paths = Paths(settings.home)
    way = None if question.transaction_id is None else trace(paths, question.transaction_id).to_dict()
    return {"trace": way, **search_logs(paths, question).to_dict()}
