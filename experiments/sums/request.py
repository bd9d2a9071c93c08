"""What is asked of the warehouse: which experiment, up to which day, which sums of its users."""

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Self

from experiments.metrics import METRICS, Needs
from experiments.plan import ExperimentPlan
from workspace.columns import Trial
from workspace.errors import InvalidValueError

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Sums of the users of an experiment as of a day.

    Args:
        experiment_id: Which experiment, as events carry it.
        start: Its first day.
        as_of: Last day whose events count.
        pre_days: Length of the time before the start that gives the covariates; 0 asks for none.
        variants: Names of the variants that take part, control first.
        metrics: Names of the metrics.
        primaries: Those of them whose halves are asked for.

    Raises:
        InvalidValueError: When the day lies before the start, or there is no variant or metric.
        UnknownError: When there is no such metric.

    Example:
        >>> day = dt.date(2026, 3, 2)
        >>> one = Request(experiment_id="exp", start=day, as_of=day, variants=("a", "b"), metrics=("ctr",))
        >>> one.needs.columns, one.pre_start
        (('clicks', 'impressions'), None)
    """

    experiment_id: str
    start: dt.date
    as_of: dt.date
    variants: tuple[str, ...]
    metrics: tuple[str, ...]
    pre_days: int = 0
    primaries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.as_of < self.start:
            raise InvalidValueError(
                f"as_of == {self.as_of}", f"must not be before {self.start}", "the experiment has not begun by then"
            )
        if not self.variants or not self.metrics:
            raise InvalidValueError("a request without variants or metrics", "must have one of each at least")

    @classmethod
    def of(cls, plan: ExperimentPlan, as_of: dt.date) -> Self:
        """Return what the scorecard of a plan needs: its metrics and those that stand beside them."""
        names = [one.metric for one in plan.metrics]
        beside = [name for one in names for name in METRICS[one].beside]
        return cls(
            experiment_id=plan.experiment_id,
            start=plan.start,
            as_of=as_of,
            variants=plan.names,
            metrics=tuple(dict.fromkeys([*names, *beside])),
            pre_days=plan.rule.pre_days,
            primaries=tuple(one.metric for one in plan.kinds("primary")),
        )

    @property
    def needs(self) -> Needs:
        """Every sum and cross moment of the metrics, with covariates when there are days before."""
        return merged(self.metrics, covariates=self.pre_days > 0)

    @property
    def pre_start(self) -> dt.date | None:
        """First of the days before; None without any."""
        return self.start - self.pre_days * _DAY if self.pre_days else None

    @property
    def window(self) -> tuple[dt.date, dt.date]:
        """First and last day that are read."""
        return self.pre_start or self.start, self.as_of

    @property
    def days(self) -> int:
        """Days from the start up to the last day, both included."""
        return (self.as_of - self.start).days + 1

    def to_dict(self) -> dict[str, object]:
        """Return the request as plain data."""
        return asdict(self) | {"start": self.start.isoformat(), "as_of": self.as_of.isoformat()}

    @property
    def digest(self) -> str:
        """SHA-256 of the request's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def merged(metrics: tuple[str, ...], *, covariates: bool) -> Needs:
    """Return what serves every one of some metrics: the union that is one scan."""
    from experiments.metrics import metric

    return reduce(lambda left, right: left | right, (metric(name).needs(covariates=covariates) for name in metrics))


def base_of(column: str) -> str:
    """Return the sum of a user behind a column: neither of the days before, nor capped.

    Example:
        >>> base_of("pre_focus_s_capped")
        'focus_s'
    """
    return column.removeprefix(Trial.PRE).removesuffix(Trial.CAPPED)
