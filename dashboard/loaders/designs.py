"""What the design of an experiment shows: the traffic there is, the size it takes, and who would be in it."""

import datetime as dt
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.loaders.engine import engine, stamp
from dashboard.loaders.kept import ask
from dashboard.loaders.telemetry import warehouse
from experiments import sizing
from experiments.assignment import assign
from experiments.plan import ExperimentPlan
from experiments.records import Record
from experiments.sizing import Size, Wanted
from experiments.traffic import traffic
from workspace.columns import User
from workspace.settings import load_settings

OUTSIDE: Final = ""
_TTL: Final = dt.timedelta(minutes=30)


def windows() -> dict[int, pd.DataFrame]:
    """Return the traffic of the last days.

    Raises:
        StateError: When nothing is rolled up.
    """
    settings = load_settings()
    return ask((settings, "traffic"), lambda: traffic(warehouse(settings)), ttl=_TTL).value


def size(metric: str, wanted: Wanted) -> Size:
    """Return how many users and days a metric needs."""
    return ask(
        (load_settings(), "size", metric, wanted), lambda: sizing.size(windows(), metric, wanted), ttl=_TTL
    ).value


def every(sized: Size) -> dict[str, float | str]:
    """Return what the same users would find of every metric."""
    key = (load_settings(), "every", sized.metric, sized.wanted)
    return ask(key, lambda: sizing.every(windows(), sized), ttl=_TTL).value


def assigned(record: Record) -> pd.DataFrame:
    """Return how many users of the catalogue would get which variant, by region; `OUTSIDE` is none."""
    return _assigned(record.digest, record.revision, stamp(), record)


@st.cache_data(max_entries=20, show_spinner=False)
def _assigned(digest: str, revision: int, known: str, _record: Record) -> pd.DataFrame:  # noqa: ARG001 - the key
    plan = _record.plan
    salted = plan if plan.salt else plan.model_copy(update={"salt": plan.experiment_id})
    users = engine().catalogue.users
    found = assign(salted, users[User.ID], users[User.REGION], placement=_record.placement)
    names = pd.Series(found, index=users.index).fillna(OUTSIDE)
    return pd.crosstab(users[User.REGION].astype(str), names.astype(str))


def allocated(plan: ExperimentPlan, region: str) -> float:
    """Return the share of a region's users that the plan wants."""
    return plan.allocation.get(region, plan.default_allocation)
