"""How large an experiment must be, and how long that takes at the traffic there is."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from experiments.metrics import METRICS
from experiments.power import mde, sample_size
from experiments.traffic import Baseline, baseline
from workspace.checks import check_scalar
from workspace.errors import NotEstimableError, RecommendrError, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

LONGEST_DAYS: Final = 365
_BEYOND: Final = (42, 56, 84)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an experiment shall find.

    Args:
        mde_rel: Least relative change worth finding.
        alpha: Two-sided error.
        power: Probability of finding it.
        share: Share of the users who take part.
        ratio: Users of the variant for one of control.
    """

    mde_rel: float = 0.05
    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.1
    ratio: float = 1.0

    def __post_init__(self) -> None:
        check_scalar(self.mde_rel, "mde_rel", gt=0, hint="0.05 is 5 %")
        check_scalar(self.share, "share", gt=0, le=1, hint="0.1 is 10 % of the users")
        check_scalar(self.ratio, "ratio", gt=0, hint="1 splits half and half")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is found after some days.

    Args:
        days: How many.
        users: Who take part by then, of both arms.
        mde_rel: Least relative change found with the power asked for.
    """

    days: int
    users: float
    mde_rel: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large an experiment must be.

    Args:
        metric: What it is sized by.
        wanted: What it shall find.
        days: After how many days there are enough users; None when a year is too short.
        n_control: Users control needs.
        n_variant: Users the variant needs.
        base: The metric as it stands over about so many days.
        course: What is found after how many days.
    """

    metric: str
    wanted: Wanted
    days: int | None
    n_control: int
    n_variant: int
    base: Baseline
    course: tuple[Found, ...]

    @property
    def users(self) -> int:
        """Users of both arms."""
        return self.n_control + self.n_variant


def size(windows: "Mapping[int, pd.DataFrame]", metric: str, wanted: Wanted) -> Size:
    """Return how many users and days a metric needs.

    Users between two measured windows are interpolated; beyond the longest one they go on as between the last two,
    and a user's spread stays.

    Args:
        windows: What `traffic` returned.
        metric: Name of the metric.
        wanted: What shall be found.

    Raises:
        NotEstimableError: When the metric has no baseline.
    """
    curve = _Curve.of(windows, metric)
    days = curve.first_day(wanted)
    base = curve.at(days if days is not None else LONGEST_DAYS)
    n_control, n_variant = _needed(base, wanted)
    longest = max(windows)
    shown = sorted({*windows, *(day for day in _BEYOND if day > longest), *([days] if days else [])})
    course = tuple(found for day in shown if (found := curve.found(day, wanted)) is not None)
    return Size(
        metric=metric, wanted=wanted, days=days, n_control=n_control, n_variant=n_variant, base=base, course=course
    )


def every(windows: "Mapping[int, pd.DataFrame]", sized: Size) -> dict[str, float | str]:
    """Return for each metric the least relative change that the users of a size would find, or why there is none."""
    found: dict[str, float | str] = {}
    for name in METRICS:
        try:
            base = _Curve.of(windows, name).at(sized.days or LONGEST_DAYS)
            found[name] = _mde(base, sized.n_control, sized.wanted)
        except RecommendrError as problem:
            found[name] = problem.what
    return found


@dataclass(frozen=True, slots=True)
class _Curve:
    """A metric over windows of traffic of growing length."""

    metric: str
    days: "np.ndarray"
    users: "np.ndarray"
    sd: "np.ndarray"
    mean: float

    @classmethod
    def of(cls, windows: "Mapping[int, pd.DataFrame]", metric: str) -> "_Curve":
        """Return the windows in which the metric is known."""
        known = []
        problem: NotEstimableError | None = None
        for days in sorted(windows):
            try:
                known.append(baseline(windows[days], metric, days))
            except NotEstimableError as error:
                problem = error
        if problem is not None and not known:
            raise problem
        if not known:
            raise StateError("no day of telemetry is rolled up", hint="run `recommendr telemetry rollup`")
        return cls(
            metric,
            np.array([one.days for one in known], dtype=np.float64),
            np.array([one.users for one in known], dtype=np.float64),
            np.array([one.sd for one in known], dtype=np.float64),
            known[-1].mean,
        )

    def at(self, days: int) -> Baseline:
        """Return the metric after some days."""
        users = float(np.interp(days, self.days, self.users))
        if days > self.days[-1] and len(self.days) > 1:
            slope = (self.users[-1] - self.users[-2]) / (self.days[-1] - self.days[-2])
            users += float(slope * (days - self.days[-1]))
        sd = float(np.interp(days, self.days, self.sd))
        return Baseline(metric=self.metric, days=days, users=int(users), mean=self.mean, sd=sd)

    def first_day(self, wanted: Wanted) -> int | None:
        """Return the first day by which enough users have come; None when a year is too short."""
        low, high = 0, LONGEST_DAYS
        if not self._enough(high, wanted):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._enough(middle, wanted) else (middle, high)
        return high

    def _enough(self, days: int, wanted: Wanted) -> bool:
        base = self.at(days)
        return base.users * wanted.share >= sum(_needed(base, wanted))

    def found(self, days: int, wanted: Wanted) -> Found | None:
        """Return what is found after some days; None while there are fewer than two users an arm."""
        base = self.at(days)
        users = base.users * wanted.share
        n_control = users / (1 + wanted.ratio)
        if min(n_control, users - n_control) < 2:  # noqa: PLR2004 - one user has no variance
            return None
        return Found(days=days, users=users, mde_rel=_mde(base, n_control, wanted))


def _needed(base: Baseline, wanted: Wanted) -> tuple[int, int]:
    sizes = sample_size(
        baseline_mean=base.mean,
        baseline_sd=base.sd,
        mde_rel=wanted.mde_rel,
        ratio=wanted.ratio,
        alpha=wanted.alpha,
        power=wanted.power,
    )
    return sizes.n_control, sizes.n_variant


def _mde(base: Baseline, n_control: float, wanted: Wanted) -> float:
    return mde(
        baseline_mean=base.mean,
        baseline_sd=base.sd,
        n_control=n_control,
        ratio=wanted.ratio,
        alpha=wanted.alpha,
        power=wanted.power,
    )


def days_until(end: dt.date, today: dt.date) -> int:
    """Return how many days an experiment still has, that of today included; 0 after its end."""
    return max(0, (end - today).days + 1)
