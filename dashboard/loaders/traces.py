"""What *Trace* shows: one request through the services, with its slate and its events."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import pandas as pd

from dashboard.loaders.films import film_facts
from dashboard.loaders.telemetry import is_logged, telemetry
from telemetry.logs import LogAnswer, LogQuestion, search_logs
from telemetry.traces import Trace, trace
from workspace.columns import Event, Film
from workspace.errors import RecommendrError
from workspace.paths import Paths
from workspace.settings import load_settings

_LATER: Final = dt.timedelta(days=1)
"""What a user does with a slate may come a day after the request that made it."""
SHOWN_LINES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One request and what came of it.

    Args:
        trace: Its hops.
        slate_logged: Its slate can be opened and replayed here.
        events: What the user did with it, oldest first.
        events_problem: Why the events can't be shown, if they can't.
    """

    trace: Trace
    slate_logged: bool
    events: pd.DataFrame
    events_problem: RecommendrError | None


def traced(transaction_id: str) -> Traced:
    """Return the request of a transaction.

    Raises:
        UnknownError: When no line of the logs bears the id.
    """
    found = trace(Paths(load_settings().home), transaction_id)
    events, problem = pd.DataFrame(columns=list(Event.ALL)), None
    day = found.started_at.date()
    try:
        events = telemetry().events_of(transaction_id=transaction_id, start=day, end=day + _LATER)
    except RecommendrError as error:  # the hops are worth seeing without the warehouse
        problem = error
    slate_id = found.slate_id or next(iter(events[Event.SLATE].dropna()), None)
    return Traced(
        trace=found,
        slate_logged=slate_id is not None and is_logged(slate_id),
        events=events,
        events_problem=problem,
    )


def lines(*, services: tuple[str, ...], levels: tuple[str, ...], text: str, transaction_id: str | None) -> LogAnswer:
    """Return the newest lines of the logs that fit."""
    question = LogQuestion(
        services=services, levels=levels, text=text, transaction_id=transaction_id, limit=SHOWN_LINES
    )
    return search_logs(Paths(load_settings().home), question)


def film_title(film_id: str) -> str:
    """Return a film's title, or its id where the catalogue does not know it."""
    try:
        return str(film_facts(film_id).get(Film.TITLE) or film_id)
    except RecommendrError:
        return film_id
