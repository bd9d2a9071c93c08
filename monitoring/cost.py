"""What recommendations cost, from measurement: processor seconds, memory and money, by index version.

A measurement asks the recommender for real users' slates in this process and reads the processor time of each request.
Prices are applied when figures are shown, not when they are measured, so that a new price needs no new measurement.

money of one recommendation = s / u · (c + m · g) / 3600

with s the processor seconds it takes, u the share of the rented processor time that does work, c the price of a
processor hour, m the memory of the process in GiB for each processor rented, g the price of a GiB hour.
"""

import datetime as dt
import json
import math
import os
import resource
import statistics
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitoring.findings import Interval
from workspace.checks import check_scalar
from workspace.columns import User
from workspace.errors import IntegrityError, NotEstimableError, RecommendrError, SchemaError, UnknownError
from workspace.files import file_lock, write_json
from workspace.paths import Paths

if TYPE_CHECKING:
    from monitoring.ground import Ground
    from monitoring.measures import Reading
    from recommender.engine import Recommender
    from workspace.clock import Clock

LEAST_REQUESTS: Final = 50
REQUESTS: Final = 200
FILE: Final = "costs.json"
PRICES: Final = "prices.toml"
MOST_KEPT: Final = 200
_WARM_UP: Final = 5
_STATM: Final = Path("/proc/self/statm")
_MIB: Final = 1_048_576
_HOUR_S: Final = 3_600.0


class Prices(BaseModel):
    """What the operator pays; ``<home>/monitoring/prices.toml`` overrides any of it.

    The defaults are the list prices of AWS Fargate, Linux on x86, us-east-1, on demand; the subscription fee and the
    share of it are placeholders for the cash flow analysis that the source document leaves open (A.4).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(default="USD", min_length=1, max_length=8)
    cpu_hour: float = Field(default=0.04048, ge=0, allow_inf_nan=False, description="Price of a processor hour.")
    memory_gib_hour: float = Field(default=0.004445, ge=0, allow_inf_nan=False, description="Price of a GiB hour.")
    utilisation: float = Field(default=0.4, gt=0, le=1, description="Share of the rented processor time that works.")
    premium_fee: float = Field(default=4.99, gt=0, allow_inf_nan=False, description="Subscription fee of four weeks.")
    most_of_fee: float = Field(default=0.01, gt=0, le=1, description="Share of the fee inference may cost.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One measurement of one index version.

    Args:
        index_version: Which.
        measured_at: When, aware.
        requests: How many slates were asked for.
        k: Films a slate.
        cpu_ms: Mean processor time of one, with its interval over requests.
        wall_ms: Median time on the clock.
        memory_mib: Resident memory of the measuring process, all of it.
        index_mib: Size of the version's files, its base included.
        films: How many films it holds.
        machine: Processors there are.
    """

    index_version: str
    measured_at: dt.datetime
    requests: int
    k: int
    cpu_ms: Interval
    wall_ms: float
    memory_mib: float
    index_mib: float
    films: int
    machine: str

    def money_per_1000(self, prices: Prices) -> Interval:
        """Return what 1,000 recommendations cost, with the interval of the processor time."""
        memory_gib = self.memory_mib / 1_024
        hour = (prices.cpu_hour + memory_gib * prices.memory_gib_hour) / prices.utilisation
        # 1,000 requests of so many thousandths of a second are as many seconds.
        low, high = (None if end is None else end * hour / _HOUR_S for end in (self.cpu_ms.low, self.cpu_ms.high))
        return Interval(value=self.cpu_ms.value * hour / _HOUR_S, low=low, high=high)

    def to_dict(self, prices: Prices | None = None) -> dict[str, Any]:
        """Return plain data; with prices, also the money."""
        out = {**asdict(self), "measured_at": self.measured_at.isoformat(), "cpu_ms": self.cpu_ms.to_dict()}
        # A thousand requests take as many seconds as one takes thousandths of a second.
        out["cpu_s_per_1000"] = self.cpu_ms.value
        if prices is not None:
            out |= {"money_per_1000": self.money_per_1000(prices).to_dict(), "currency": prices.currency}
        return out


def measure(
    recommender: "Recommender",
    *,
    requests: int = REQUESTS,
    version: str | None = None,
    k: int = 5,
    seed: int = 0,
    clock: "Clock | None" = None,
) -> Cost:
    """Measure what recommendations of an index version cost, and keep it.

    The slates are computed as for a visitor but not recorded, so that nobody's history changes.

    Args:
        recommender: Over the workspace.
        requests: How many; at least 50.
        version: The index version; the current one when None.
        k: Films a slate.
        seed: Draws the users.
        clock: Stamps the measurement; the recommender's own when None.

    Raises:
        InvalidValueError: For fewer than 50 requests.
        StateError: When no index is built.
        NotEstimableError: When nobody can be recommended anything.
    """
    check_scalar(requests, "requests", ge=LEAST_REQUESTS, le=1_000_000, hint="fewer say too little about the mean")
    view = recommender.view(version)
    users = _drawn(recommender, requests + _WARM_UP, seed)
    cpu_s, wall_s = _timed(recommender, users, view.version, k)
    found = Cost(
        index_version=view.version,
        measured_at=(clock or recommender.clock).now(),
        requests=len(cpu_s),
        k=k,
        cpu_ms=_mean_ms(cpu_s),
        wall_ms=statistics.median(wall_s) * 1_000,
        memory_mib=_resident_mib(),
        index_mib=size_mib(recommender.paths, view.version),
        films=view.index.manifest.rows,
        machine=f"{os.cpu_count() or 1} processors",
    )
    _keep(recommender.paths, found)
    return found


def size_mib(paths: Paths, version: str) -> float:
    """Return the size of an index version's files, those of its base included.

    Raises:
        UnknownError: When there is no such version.
    """
    from recommender.index import list_versions

    known = {one.version: one for one in list_versions(paths)}
    if version not in known:
        raise UnknownError(
            f"index version == {version!r}", "must be one that was built", f"there are {', '.join(known)}"
        )
    own = known[version]
    parts = [own] + ([known[own.delta.base]] if own.delta and own.delta.base in known else [])
    return sum(file.bytes for one in parts for file in one.files.values()) / _MIB


def costs(paths: Paths) -> tuple[Cost, ...]:
    """Return the newest measurement of each index version, the latest measured first.

    Raises:
        IntegrityError: When the file of measurements can't be read.
    """
    newest: dict[str, Cost] = {}
    for one in sorted(_read(paths), key=lambda cost: cost.measured_at):
        newest[one.index_version] = one
    return tuple(sorted(newest.values(), key=lambda cost: cost.measured_at, reverse=True))


def load_prices(paths: Paths) -> Prices:
    """Return the prices: the defaults, overridden by ``prices.toml`` of the workspace.

    Raises:
        SchemaError: When the file can't be read or holds something it can't.
    """
    path = paths.monitoring / PRICES
    try:
        return Prices(**tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return Prices()
    except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
        told = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            told = f"{'.'.join(map(str, first['loc']))} == {first['input']!r}: {first['msg'].lower()}"
        known = ", ".join(Prices.model_fields)
        raise SchemaError(f"{path}: {told}", "must be TOML of known prices", f"they are {known}") from error


def per_1000(ground: "Ground", at: dt.datetime) -> "Reading":
    """Return the money of 1,000 recommendations by the index version that is current."""
    from monitoring.measures import Reading

    found, note = _current(ground, at)
    if found is None:
        return Reading(value=None, unit="money", note=note)
    prices = load_prices(ground.paths)
    money = found.money_per_1000(prices)
    return Reading(
        value=money.value, low=money.low, high=money.high, n=found.requests, unit="money", as_of=found.measured_at,
        note=f"{prices.currency}; index {found.index_version}, {found.cpu_ms.value:.1f} ms of processor time each",
    )  # fmt: skip


def per_user(ground: "Ground", at: dt.datetime) -> "Reading":
    """Return the money of inference for an average active user in 28 days.

    It is the cost of a recommendation times how many slates an active user is shown. The two are estimated from
    different data, so that their relative variances add.
    """
    from monitoring.measures import MONTH, Reading, last_day
    from monitoring.user_figures import SLATES_A_USER, blocks

    one = per_1000(ground, at)
    if one.value is None:
        return one
    end = last_day(ground, at)
    shown = blocks(ground, [SLATES_A_USER], end=end, days=MONTH)
    if not shown or not math.isfinite(shown[0].value):
        note = shown[0].note if shown else f"not estimable: no slates in {MONTH} days"
        return Reading(value=None, unit="money", as_of=one.as_of, note=note)
    slates = shown[0]
    value = one.value / 1_000 * slates.value
    note = f"{load_prices(ground.paths).currency}; {slates.value:.1f} slates a user in {MONTH} days"
    if one.low is None or one.high is None or not math.isfinite(slates.low) or one.value == 0:
        return Reading(value=value, n=slates.users, unit="money", as_of=one.as_of, note=note)
    relative = math.hypot((one.high - one.low) / 2 / one.value, (slates.high - slates.low) / 2 / slates.value)
    return Reading(
        value=value, low=max(value * (1 - relative), 0.0), high=value * (1 + relative), n=slates.users, unit="money",
        as_of=one.as_of, note=note,
    )  # fmt: skip


def _current(ground: "Ground", at: dt.datetime) -> tuple[Cost | None, str]:
    from recommender.index import current_version

    version = current_version(ground.paths)
    known = [one for one in _read(ground.paths) if one.index_version == version and one.measured_at <= at]
    if version is None:
        return None, "not estimable: no index version is current"
    if not known:
        return None, f"not measured: run `recommendr monitor cost --measure` for index {version}"
    return max(known, key=lambda one: one.measured_at), ""


def _drawn(recommender: "Recommender", count: int, seed: int) -> list[str]:
    ids = recommender.catalogue.users[User.ID].to_numpy(dtype=object)
    if not len(ids):
        raise NotEstimableError("the catalogue has no users", "must have one to be recommended to", "import some")
    # Everybody once before anybody twice.
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(len(ids)) for _ in range(-(-count // len(ids)))]
    return [str(one) for one in ids[np.concatenate(rounds)[:count]]]


def _timed(recommender: "Recommender", users: Sequence[str], version: str, k: int) -> tuple[list[float], list[float]]:
    cpu_s, wall_s = [], []
    refused: RecommendrError | None = None
    for place, user in enumerate(users):
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            recommender.recommend(user, k=k, version=version, log=False)
        except RecommendrError as error:
            refused = error
            continue
        # The first requests open files and fill caches.
        if place >= _WARM_UP:
            cpu_s.append(time.process_time() - cpu)
            wall_s.append(time.perf_counter() - wall)
    if len(cpu_s) < LEAST_REQUESTS:
        raise NotEstimableError(
            f"answered requests == {len(cpu_s)}", f"must be >= {LEAST_REQUESTS}", str(refused) if refused else ""
        )
    return cpu_s, wall_s


def _mean_ms(seconds: Sequence[float]) -> Interval:
    from scipy import stats

    values = np.asarray(seconds) * 1_000
    mean = float(values.mean())
    margin = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(value=mean, low=max(mean - margin, 0.0), high=mean + margin)


def _resident_mib() -> float:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except OSError:
        # Elsewhere the peak is what can be known.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def _keep(paths: Paths, found: Cost) -> None:
    with file_lock(paths.monitoring / f".{FILE}.lock"):
        kept = [*_read(paths), found][-MOST_KEPT:]
        write_json(paths.monitoring / FILE, {"costs": [one.to_dict() for one in kept]})


def _read(paths: Paths) -> list[Cost]:
    path = paths.monitoring / FILE
    try:
        return [_of(one) for one in json.loads(path.read_bytes())["costs"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint="remove it and measure again") from error


def _of(document: dict[str, Any]) -> Cost:
    known = {name: document[name] for name in Cost.__dataclass_fields__}
    known["measured_at"] = dt.datetime.fromisoformat(known["measured_at"])
    known["cpu_ms"] = Interval(**known["cpu_ms"])
    return Cost(**known)
