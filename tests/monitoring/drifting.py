"""Sums by random group made by hand, with changes put where a test wants them."""

import datetime as dt
from collections.abc import Callable

import numpy as np

from monitoring.drift.cells import SUMS, Breakdown, Cells
from monitoring.drift.expectation import Field
from monitoring.drift.questions import Questions
from monitoring.drift.search import Search, Shift, Twins
from telemetry.metrics import metric

START = dt.date(2026, 1, 5)  # a Monday
MARKETS = {"CA": "north_america", "DE": "western_europe", "FR": "western_europe", "US": "north_america"}
DEVICES = ("ios", "web")
WEEKDAYS = (0.9, 0.9, 0.9, 0.9, 1.1, 1.2, 1.1)
Rate = Callable[[str, str, int], float]


def nothing(_region: str, _device: str, _day: int) -> float:
    return 1.0


def cells(rate: Rate = nothing, *, days: int = 84, seed: int = 1, shown: float = 40.0, version_days: int = 0) -> Cells:
    """Clicks of 400 groups over places and devices; the rate is a factor, beside weekdays and groups that differ."""
    rng = np.random.default_rng(seed)
    groups, regions = 400, tuple(sorted(MARKETS))
    taste = rng.gamma(8, 1 / 8, (groups, len(regions), len(DEVICES)))
    impressions = rng.poisson(shown, (groups, days, len(regions), len(DEVICES)))
    factor = np.array(
        [[[rate(region, device, day) for device in DEVICES] for region in regions] for day in range(days)]
    )
    season = np.array([WEEKDAYS[day % 7] for day in range(days)])
    chance = 0.1 * taste[:, None] * factor[None] * season[None, :, None, None]
    clicks = rng.binomial(impressions, np.minimum(chance, 1.0))
    sums = np.zeros((len(SUMS), groups, days, len(regions), len(DEVICES)), dtype=np.float32)
    sums[SUMS.index("impressions")], sums[SUMS.index("clicks")] = impressions, clicks
    total = impressions.sum(axis=(0, 2, 3)).astype(float)
    late = np.arange(days) >= days - version_days
    return Cells(
        days=tuple(START + dt.timedelta(days=day) for day in range(days)),
        regions=Breakdown(parts=regions, sums=sums.sum(axis=4)),
        markets=MARKETS,
        devices=Breakdown(parts=DEVICES, sums=sums.sum(axis=3)),
        versions={"v1": np.where(late, 0.0, total), "v2": np.where(late, total, 0.0)},
        source="users",
        left_out_users=0,
        left_out_days=0,
        treated=(),
        treated_impressions=0,
    )


def field(made: Cells) -> Field:
    return Field.of(made, metric("ctr"), least_units=20)


def found(made: Cells) -> list[Shift]:
    return Search(metrics=[Twins(cut=field(made), plain=field(made))], questions=Questions.of(made)).run()
