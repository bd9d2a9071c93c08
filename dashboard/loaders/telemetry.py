"""What *User telemetry* shows: metrics by user with their intervals, behind the privacy policy of the warehouse."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.freshness import Kept
from dashboard.loaders.engine import engine
from dashboard.loaders.kept import ask
from telemetry.answers import MetricAnswer, MetricQuestion, SurveyBesideEngagement, Tile
from telemetry.parts import PartLog
from telemetry.privacy import Purpose
from telemetry.pseudonyms import KeyRing
from telemetry.queries import Telemetry
from telemetry.warehouse import Warehouse, open_warehouse
from telemetry.warehouse.cells import Grain
from workspace.clock import SystemClock
from workspace.errors import RecommendrError
from workspace.paths import Paths
from workspace.settings import Settings, load_settings
from workspace.store import Store

PERIODS: Final = {"Last 7 days": 7, "Last 28 days": 28, "Last 13 weeks": 91, "Last 26 weeks": 182}
OWN: Final = "Own dates"
_TTL: Final = dt.timedelta(minutes=1)
_TTL_NAMES: Final = dt.timedelta(minutes=10)
_LONGEST_DAILY: Final = 62
_SHOWN_USERS: Final = 50

Where = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked at.

    Args:
        start: First day.
        end: Last day, included.
        where: Dimensions and the values they must have.
        actor: Who looks.
    """

    start: dt.date
    end: dt.date
    where: Where
    actor: str

    @property
    def filters(self) -> Mapping[str, tuple[str, ...]]:
        """The filters by dimension."""
        return dict(self.where)

    @property
    def grain(self) -> Grain:
        """Days, or weeks when days would be too many to tell apart."""
        return "day" if (self.end - self.start).days < _LONGEST_DAILY else "week"


@st.cache_resource(max_entries=2, show_spinner=False)
def warehouse(settings: Settings) -> Warehouse:
    """Return the warehouse of the settings, opened once a process."""
    return open_warehouse(settings, Store.open(settings))


@st.cache_resource(max_entries=2, show_spinner=False)
def _opened(settings: Settings) -> Telemetry:
    store, clock = Store.open(settings), SystemClock()
    return Telemetry(
        warehouse(settings),
        PartLog(store, Paths(settings.home), clock),
        store,
        settings,
        clock,
        rotations=KeyRing.open(settings, clock).valid_from[1:],
    )


def telemetry() -> Telemetry:
    """Return what answers questions to user telemetry."""
    return _opened(load_settings())


def span(days: int) -> tuple[dt.date, dt.date]:
    """Return the last days that have data.

    Raises:
        StateError: When there is none.
    """
    return ask((load_settings(), "span", days), lambda: telemetry().span(days), ttl=_TTL).value


def names(start: dt.date, end: dt.date) -> dict[str, list[str]]:
    """Return the values every dimension has in a span of days."""
    return ask((load_settings(), "names", start, end), lambda: telemetry().dimensions(start, end), ttl=_TTL_NAMES).value


def tiles(asked: Asked) -> Kept[list[Tile]]:
    """Return every metric at a glance beside the period before."""
    return ask(
        (load_settings(), "tiles", asked),
        lambda: telemetry().tiles(
            asked.start, asked.end, asked.filters, purpose=Purpose.PRODUCT_ANALYTICS, actor=asked.actor
        ),
        ttl=_TTL,
    )


def metric(asked: Asked, name: str, by: tuple[str, ...], *, over_time: bool) -> Kept[MetricAnswer]:
    """Return one metric by some dimensions, over time or for the whole period."""
    question = MetricQuestion(
        metric=name,
        start=asked.start,
        end=asked.end,
        by=by,
        where=asked.filters,
        grain=asked.grain if over_time else None,
    )
    return ask(
        (load_settings(), asked, name, by, over_time),
        lambda: telemetry().answer(question, purpose=Purpose.PRODUCT_ANALYTICS, actor=asked.actor),
        ttl=_TTL,
    )


def survey(asked: Asked) -> Kept[SurveyBesideEngagement]:
    """Return what users say beside what they do, and how the two go together."""
    return ask(
        (load_settings(), "survey", asked),
        lambda: telemetry().survey_beside_engagement(
            asked.start,
            asked.end,
            asked.filters,
            grain=asked.grain,
            purpose=Purpose.PRODUCT_ANALYTICS,
            actor=asked.actor,
        ),
        ttl=_TTL,
    )


def active(asked: Asked, by: tuple[str, ...]) -> Kept[tuple[pd.DataFrame, int]]:
    """Return distinct users and sessions of each period, and how many rows were withheld."""
    return ask(
        (load_settings(), "active", asked.start, asked.end, asked.actor, by),
        lambda: telemetry().active(
            asked.start, asked.end, asked.grain, by, purpose=Purpose.OPERATIONS, actor=asked.actor
        ),
        ttl=_TTL,
    )


def segment_users(asked: Asked, name: str, segment: Mapping[str, str]) -> pd.DataFrame:
    """Return single users of a segment; the page has made sure of role and reason."""
    where = {**asked.filters, **{dim: (value,) for dim, value in segment.items()}}
    question = MetricQuestion(metric=name, start=asked.start, end=asked.end, where=where)
    return telemetry().users_in_segment(question, limit=_SHOWN_USERS)


def events(asked: Asked, *, user: int | None = None, transaction_id: str | None = None) -> pd.DataFrame:
    """Return the events of one user or one transaction; the page has made sure of role and reason."""
    return telemetry().events_of(user=user, transaction_id=transaction_id, start=asked.start, end=asked.end)


@st.cache_data(ttl=_TTL_NAMES, max_entries=1_024, show_spinner=False)
def is_logged(slate_id: str) -> bool:
    """Say whether the recommender logged a slate here, so that it can be opened."""
    try:
        engine().slate(slate_id)
    except RecommendrError:
        return False
    return True
