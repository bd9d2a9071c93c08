"""Samples of the services: counters that restart, buckets of latency, gauges, and three planted incidents."""

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data.synthetic.history.draws import Draw, Flags, Ints, Seconds, generator
from data.synthetic.history.plan import RECENT_DAYS, Plan
from data.synthetic.history.visits import DAY_ZERO, HOURS, HOURS_AHEAD, SECONDS_A_DAY, WEEKDAYS
from data.synthetic.regions import REGION_CODES, REGIONS
from workspace.columns import Sample

SERVICES: Final = ("gateway", "bff", "user", "content", "recommender")
"""In the order of a request."""
BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, np.inf)
MEDIAN_S: Final = {"gateway": 0.24, "bff": 0.21, "user": 0.03, "content": 0.06, "recommender": 0.09}
SPREAD: Final = 0.45
LEAST_PLATFORM: Final = 1_000_000
"""The services serve the whole platform, of which a small history holds some users."""
REQUESTS_A_USER_S: Final = 4e-5
SESSIONS_A_USER: Final = 4.2e-4
ERRORS: Final = 0.001
NORMAL_REACH, NORMAL_POINTS = 8.0, 8_001

LATENCY_SERVICE, LATENCY_REGION, LATENCY_MORE_S = "recommender", "DE", 0.95
UPSTREAM: Final = ("gateway", "bff")
TIMEOUTS: Final = 0.2
LEAK_SERVICE, LEAK_REGION = "bff", "GB"
MEMORY_LEVEL, MEMORY_FULL = 0.52, 0.985
KILLED_FOR: Final = timedelta(minutes=15)
OUTAGE_SERVICE, OUTAGE_ERRORS, OUTAGE_MORE_S = "content", 0.06, 0.35

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When samples are taken: days since the start of the history, and the step before each in seconds."""

    day: Seconds
    step_s: Seconds

    @classmethod
    def of(cls, plan: Plan) -> "Moments":
        """Return the moments of a plan: fine in the last two weeks, coarse before."""
        spec = plan.spec
        late = max(0, spec.days - RECENT_DAYS)
        before = np.arange(0, late * 1440, spec.earlier_step_min)
        after = np.arange(late * 1440, spec.days * 1440, spec.recent_step_min)
        steps = np.concatenate([np.full(len(before), spec.earlier_step_min), np.full(len(after), spec.recent_step_min)])
        if late:
            # The first fine sample ends a coarse step.
            steps[len(before)] = spec.earlier_step_min
        return cls(day=np.concatenate([before, after]) / 1440, step_s=steps * 60.0)

    def __len__(self) -> int:
        return len(self.day)


def write_samples(plan: Plan, folder: Path) -> int:
    """Write the samples, one file a region, and return their number."""
    folder.mkdir()
    moments = Moments.of(plan)
    rows = 0
    for place, region in enumerate(REGION_CODES):
        table = samples(plan, moments, place)
        pq.write_table(
            table,
            folder / f"{region}.parquet",
            compression="zstd",
            compression_level=1,
            use_dictionary=[Sample.SERVICE, Sample.REGION],
            store_schema=False,
        )
        rows += len(table)
    return rows


def samples(plan: Plan, moments: Moments, place: int) -> pa.Table:
    """Return the samples of one region, service by service.

    Args:
        plan: The plan.
        moments: When samples are taken.
        place: The region's row in REGIONS.
    """
    return pa.concat_tables([_series(plan, moments, place, service) for service in SERVICES])


def _series(plan: Plan, moments: Moments, place: int, service: str) -> pa.Table:
    region = REGIONS[place].code
    rng = generator(plan.spec.seed, Draw.SYSTEM, place, SERVICES.index(service))
    load = _season(plan, moments, region)
    platform = max(plan.spec.users, LEAST_PLATFORM) * REGIONS[place].share
    down, restarts = _restarts(plan, moments, rng, service, region)
    requests = np.where(down, 0, rng.poisson(platform * REQUESTS_A_USER_S * load * moments.step_s))
    buckets, latency = _latency(plan, moments, rng, requests, load, service, region)
    errors = rng.binomial(requests, _errors(plan, moments, service, region))
    counters = {Sample.REQUESTS: requests, Sample.ERRORS: errors, Sample.LATENCY_SUM: latency}
    counters |= {name: buckets[:, column] for column, name in enumerate(Sample.BUCKETS)}
    gauges = {
        Sample.CPU: np.clip(0.14 + 0.11 * load + 0.02 * rng.standard_normal(len(load)), 0.01, 1.0),
        Sample.MEMORY: _memory(plan, moments, rng, service, region),
    }
    sessions = rng.poisson(platform * SESSIONS_A_USER * load)
    start_us = (plan.spec.start.toordinal() - DAY_ZERO) * SECONDS_A_DAY * 1_000_000
    ts = start_us + np.round(moments.day * 1440).astype(np.int64) * 60_000_000
    columns: dict[str, Any] = {
        Sample.TS: pa.array(ts).view(pa.timestamp("us", tz="UTC")),
        Sample.SERVICE: pa.array([service] * len(ts)),
        Sample.REGION: pa.array([region] * len(ts)),
    }
    # A service that is down tells nothing but that it is down.
    columns |= {name: pa.array(_since(grown, restarts), mask=down) for name, grown in counters.items()}
    columns |= {name: pa.array(values, mask=down) for name, values in gauges.items()}
    columns[Sample.UP] = pa.array((~down).astype(np.float64))
    # Sessions end at the gateway; counted once, so that services may be added up.
    elsewhere = np.full(len(ts), service != SERVICES[0])
    columns[Sample.ACTIVE_SESSIONS] = pa.array(sessions.astype(np.float64), mask=elsewhere | down)
    return pa.table({name: columns[name] for name in Sample.ALL})


def _season(plan: Plan, moments: Moments, region: str) -> Values:
    """Return the load by the hour of the region and the day of the week, mean about one."""
    local = moments.day + HOURS_AHEAD[region] / 24
    hour = (local % 1.0) * 24
    weekday = (plan.spec.start.weekday() + np.floor(local).astype(np.int64)) % 7
    hours = np.interp(hour, np.arange(25) + 0.5, [*HOURS, HOURS[0]], left=HOURS[0])
    load: Values = hours * np.array(WEEKDAYS)[weekday] / np.mean(HOURS)
    return load


def _inside(moments: Moments, window: Any) -> Flags:  # noqa: ANN401 - a Window
    flags: Flags = (moments.day >= window.first) & (moments.day < window.stop)
    return flags


def _restarts(plan: Plan, moments: Moments, rng: np.random.Generator, service: str, region: str) -> tuple[Flags, Flags]:
    """Return (down, restarted): a release a week, and the end of the memory leak, when the process is killed."""
    restarted = np.zeros(len(moments), dtype=np.bool_)
    days = np.arange(0, plan.spec.days, 7) + rng.uniform(0.2, 6.8, -(-plan.spec.days // 7))
    restarted[np.searchsorted(moments.day, days[days < moments.day[-1]])] = True
    down = np.zeros(len(moments), dtype=np.bool_)
    if plan.spec.planted and (service, region) == (LEAK_SERVICE, LEAK_REGION):
        leak = plan.memory_leak
        restarted &= ~_inside(moments, leak)
        down = (moments.day >= leak.stop) & (moments.day < leak.stop + KILLED_FOR / timedelta(days=1))
        restarted[np.searchsorted(moments.day, leak.stop)] = True
    return down, restarted


def _latency(
    plan: Plan,
    moments: Moments,
    rng: np.random.Generator,
    requests: Ints,
    load: Values,
    service: str,
    region: str,
) -> tuple[Ints, Values]:
    """Return (growth of each cumulative bucket, growth of the sum of seconds)."""
    median = MEDIAN_S[service] * (0.92 + 0.08 * load)
    if region == LATENCY_REGION and service in (LATENCY_SERVICE, *UPSTREAM):
        median = median + LATENCY_MORE_S * _inside(moments, plan.latency)
    if service in (OUTAGE_SERVICE, *UPSTREAM):
        median = median + OUTAGE_MORE_S * 0.4 * _inside(moments, plan.provider_outage)
    bounds = np.array(BOUNDS_S)
    deviation = (np.log(bounds)[None, :] - np.log(median)[:, None]) / SPREAD
    share = _normal(deviation)
    share[:, -1] = 1.0
    counts = rng.multinomial(requests, np.diff(share, axis=1, prepend=0.0))
    mean = np.exp(SPREAD**2 / 2) * median
    # The mean of a log-normal inside a bucket, from its partial expectations.
    partial = _normal(deviation - SPREAD)
    partial[:, -1] = 1.0
    inside = np.diff(partial, axis=1, prepend=0.0) * mean[:, None]
    width = np.diff(share, axis=1, prepend=0.0)
    typical = np.divide(inside, width, out=np.zeros_like(inside), where=width > 0)
    return np.cumsum(counts, axis=1), (counts * typical).sum(axis=1)


@cache
def _normal_table() -> tuple[Values, Values]:
    places = np.linspace(-NORMAL_REACH, NORMAL_REACH, NORMAL_POINTS)
    return places, np.array([0.5 + 0.5 * math.erf(place / math.sqrt(2)) for place in places.tolist()])


def _normal(deviations: Values) -> Values:
    """Return the distribution function of a standard normal, from a table: the error is below 1e-6."""
    shares: Values = np.interp(deviations, *_normal_table())
    return shares


def _errors(plan: Plan, moments: Moments, service: str, region: str) -> Values:
    share = np.full(len(moments), ERRORS)
    if region == LATENCY_REGION and service in (LATENCY_SERVICE, *UPSTREAM):
        share[_inside(moments, plan.latency)] = TIMEOUTS
    if service == OUTAGE_SERVICE:
        share[_inside(moments, plan.provider_outage)] = OUTAGE_ERRORS
    return share


def _memory(plan: Plan, moments: Moments, rng: np.random.Generator, service: str, region: str) -> Values:
    memory = MEMORY_LEVEL + 0.012 * rng.standard_normal(len(moments))
    if plan.spec.planted and (service, region) == (LEAK_SERVICE, LEAK_REGION):
        leak = plan.memory_leak
        run = (moments.day - leak.first) / (leak.stop - leak.first)
        memory = memory + np.where(_inside(moments, leak), run * (MEMORY_FULL - MEMORY_LEVEL), 0.0)
    clipped: Values = np.clip(memory, 0.01, 1.0)
    return clipped


def _since(grown: npt.NDArray[Any], restarted: Flags) -> Values:
    """Return a counter that begins anew with every restart."""
    total = np.cumsum(grown.astype(np.float64))
    before = total - grown
    last = np.maximum.accumulate(np.where(restarted, np.arange(len(grown)), 0))
    counted: Values = total - before[last]
    return counted
