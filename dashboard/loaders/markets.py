"""What *Markets* shows: figures by market, weights of its own against general ones, and what it all costs."""

import datetime as dt
from typing import Final

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.watching import ground
from monitoring import cost
from monitoring.cost import Cost, Prices
from monitoring.market_study import MarketStudy, studied
from monitoring.markets import MarketRow, compare
from workspace.settings import load_settings

_TTL: Final = dt.timedelta(minutes=10)


def markets() -> Kept[tuple[MarketRow, ...]]:
    """Return every market with its figures of the last four weeks."""
    return ask((load_settings(), "markets", ground().warehouse.version()), lambda: compare(ground()), ttl=_TTL)


def study() -> MarketStudy | None:
    """Return the comparison of weights that was made last; None before the first."""
    return studied(ground().paths)


def prices() -> Prices:
    """Return what the operator pays."""
    return cost.load_prices(ground().paths)


def costs() -> list[Cost]:
    """Return every measurement of what recommendations cost, the newest first."""
    return sorted(cost.costs(ground().paths), key=lambda one: one.measured_at, reverse=True)
