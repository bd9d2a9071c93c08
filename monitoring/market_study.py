"""One index for all markets, or one for each? Measured offline, on held-back films of users of each market.

Block weights are fitted twice on the same folds of users: on the users of every market (*general*), and on those of one
market (*own*). Both are judged on users of that market whom neither has seen, and the difference is taken user by user,
so that what makes users differ cancels. The weights are part of the query, not of the index: weights of their own cost
a market no second index. What a second index would cost in memory, money and building is measured beside it.

Source: Kohavi 1995, "A study of cross-validation and bootstrap for accuracy estimation and model selection"; the level
of the intervals follows Holm's adjustment over markets (`experiments.multiplicity`).
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from experiments.multiplicity import adjust, matching_alpha
from monitoring.cost import size_mib
from monitoring.findings import Interval
from workspace.checks import check_scalar
from workspace.columns import Film, User
from workspace.errors import IntegrityError, NotEstimableError, StateError
from workspace.files import write_json
from workspace.paths import Paths

if TYPE_CHECKING:
    from monitoring.cost import Prices
    from monitoring.ground import Ground
    from recommender.evaluation.weights import Pool
    from recommender.view import View

FOLDS: Final = 5
LEAST_USERS: Final = 50
"""Fewer users of a market are not split into folds: a dozen weights would be fitted to a handful of people."""
K: Final = 5
ALPHA: Final = 0.05
FILE: Final = "markets.json"
FOUR_WEEKS_H: Final = 28 * 24.0
_GIB: Final = 1_024

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFit:
    """What weights of its own would bring one market.

    Args:
        market: Which.
        users: Users judged; None when they are too few to say.
        general: precision@5 under weights fitted on every market.
        own: Under weights fitted on this one.
        difference: Own minus general, user by user, with the interval that agrees with ``p_value``; None when it is
            not estimable.
        p_value: Of the paired t test, adjusted for the number of markets.
        note: Why there is no difference.
    """

    market: str
    users: int | None
    general: float | None = None
    own: float | None = None
    difference: Interval | None = None
    p_value: float | None = None
    note: str = ""

    @property
    def is_better(self) -> bool:
        """Whether weights of its own are better beyond chance."""
        return self.difference is not None and self.difference.low is not None and self.difference.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondIndex:
    """What one more index would cost, measured.

    Args:
        size_mib: Of the current version's files, which are memory-mapped while it serves.
        build_s: Processor time to fit its features anew, text vectors reused.
        films: How many films it holds.
    """

    size_mib: float
    build_s: float
    films: int

    def money(self, prices: "Prices") -> float:
        """Return what keeping it in memory costs in four weeks."""
        return self.size_mib / _GIB * prices.memory_gib_hour * FOUR_WEEKS_H


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStudy:
    """The comparison of one index version.

    Args:
        index_version: Which was current.
        snapshot_id: The catalogue behind it.
        studied_at: When, aware.
        folds: Of users.
        seed: Dealt them.
        markets: One row a market, in the order of their names.
        second_index: What a second index would cost.
    """

    index_version: str
    snapshot_id: str
    studied_at: dt.datetime
    folds: int
    seed: int
    markets: tuple[MarketFit, ...]
    second_index: SecondIndex

    def recommendation(self, prices: "Prices") -> str:
        """Return in one sentence or two what follows."""
        known = [one for one in self.markets if one.difference is not None]
        unknown = [one.market for one in self.markets if one.difference is None]
        rest = f" Nothing can be said of {', '.join(unknown)}." if unknown else ""
        if not known:
            return f"It can't be told whether markets gain from weights of their own: no market is estimable.{rest}"
        better = [one for one in known if one.is_better]
        if not better:
            most = max(known, key=lambda one: (one.difference.high or 0.0) if one.difference else 0.0)
            bound = (most.difference.high or 0.0) if most.difference else 0.0
            return (
                "Keep one index and one set of weights: no market gains beyond chance. "
                f"The most that is still possible is {bound:+.3f} precision@{K}, in {most.market}.{rest}"
            )
        gains = "; ".join(
            f"{one.market} {one.difference.value:+.3f} ({one.difference.low:+.3f} to {one.difference.high:+.3f})"
            for one in better
            if one.difference
        )
        size, money = self.second_index.size_mib, self.second_index.money(prices)
        return (
            f"Give weights of their own to: {gains} precision@{K}, and test it in an experiment first. Weights need no "
            f"second index; one would take {size:,.1f} MiB of memory ({money:,.4f} {prices.currency} in four weeks) "
            f"and {self.second_index.build_s:,.1f} s of processor time for each build.{rest}"
        )

    def to_dict(self, prices: "Prices | None" = None) -> dict[str, Any]:
        """Return plain data; with prices, also money and recommendation."""
        out = {
            "index_version": self.index_version, "snapshot_id": self.snapshot_id,
            "studied_at": self.studied_at.isoformat(), "folds": self.folds, "seed": self.seed,
            "markets": [
                {**asdict(one), "difference": one.difference.to_dict() if one.difference else None}
                for one in self.markets
            ],
            "second_index": asdict(self.second_index),
        }  # fmt: skip
        if prices is not None:
            money = {"money_four_weeks": self.second_index.money(prices), "currency": prices.currency}
            out |= {"recommendation": self.recommendation(prices), **money}
        return out


def study(ground: "Ground", *, folds: int = FOLDS, seed: int = 0, progress: Progress | None = None) -> MarketStudy:
    """Compare general weights with those of each market, and keep the result beside the workspace.

    Args:
        ground: The stores.
        folds: Of users.
        seed: Deals them.
        progress: Told the stage, what is done and what there is.

    Raises:
        StateError: When nothing is imported or no index is built.
        NotEstimableError: When the catalogue holds no interactions to be judged by.
    """
    check_scalar(folds, "folds", ge=2, le=20)
    check_scalar(seed, "seed", ge=0)
    catalogue = ground.catalogue()
    if catalogue is None:
        raise StateError("nothing was imported yet", hint="run `recommendr init`")
    from recommender.view import View

    view = View.open(ground.paths, None, catalogue)
    pool, users, build_s = _pool_of_users(view, seed)
    markets = catalogue.users[User.MARKET].to_numpy(dtype=object)[users].astype(str)
    found = compare_weights(pool, markets, folds=folds, seed=seed, least=ground.settings.k_anonymity, progress=progress)
    result = MarketStudy(
        index_version=view.version, snapshot_id=catalogue.snapshot_id, studied_at=ground.clock.now(), folds=folds,
        seed=seed, markets=found,
        second_index=SecondIndex(
            size_mib=size_mib(ground.paths, view.version), build_s=build_s, films=view.index.manifest.rows
        ),
    )  # fmt: skip
    write_json(ground.paths.monitoring / FILE, result.to_dict())
    return result


def studied(paths: Paths) -> MarketStudy | None:
    """Return the comparison that was made last, or None.

    Raises:
        IntegrityError: When its file can't be read.
    """
    path = paths.monitoring / FILE
    try:
        document = json.loads(path.read_bytes())
        rows = tuple(
            MarketFit(**{**one, "difference": Interval(**one["difference"]) if one["difference"] else None})
            for one in document["markets"]
        )
        return MarketStudy(
            index_version=document["index_version"], snapshot_id=document["snapshot_id"],
            studied_at=dt.datetime.fromisoformat(document["studied_at"]), folds=document["folds"],
            seed=document["seed"], markets=rows, second_index=SecondIndex(**document["second_index"]),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint="remove it and study the markets again") from error


def compare_weights(
    pool: "Pool",
    markets: npt.NDArray[np.str_],
    *,
    folds: int = FOLDS,
    seed: int = 0,
    least: int = 10,
    progress: Progress | None = None,
) -> tuple[MarketFit, ...]:
    """Compare weights fitted on everybody with those fitted on one market, on users neither has seen.

    Args:
        pool: What every block says of each user's candidates.
        markets: Market of each user of the pool, shape ``(m,)``.
        folds: Of users, dealt within each market.
        seed: Deals them.
        least: Markets of fewer users are not named with a number.
        progress: Told the stage, what is done and what there is.
    """
    names = sorted(set(markets.tolist()))
    dealt = _dealt(markets, names, folds, seed)
    studied_ones = [name for name in names if int((markets == name).sum()) >= LEAST_USERS]
    general, own = np.full(len(markets), np.nan), np.full(len(markets), np.nan)
    for fold in range(folds if studied_ones else 0):
        if progress:
            progress("fit weights by market", fold, folds)
        seen, held = dealt != fold, dealt == fold
        shared = _weights(pool, np.flatnonzero(seen))
        for name in studied_ones:
            judged = np.flatnonzero(held & (markets == name))
            general[judged] = _precision(pool, judged, shared)
            own[judged] = _precision(pool, judged, _weights(pool, np.flatnonzero(seen & (markets == name))))
    if progress:
        progress("fit weights by market", folds, folds)
    counts: Mapping[str, int] = {name: int((markets == name).sum()) for name in names}
    rows = {name: _fit_of(name, general[markets == name], own[markets == name]) for name in studied_ones}
    return tuple(_adjusted(rows)[name] if name in rows else _too_few(name, counts[name], least) for name in names)


def _pool_of_users(view: "View", seed: int) -> tuple["Pool", Rows, float]:
    """Return the pool of the users a temporal split judges, the users, and how long fitting the features took.

    Blocks, pooling and the weights that choose the candidates are those of the version.
    """
    from recommender.evaluation.ground import Ground as Interactions
    from recommender.evaluation.protocols import split
    from recommender.evaluation.subject import FittedBlocks, Subject, pool_of, sample_users
    from workspace.errors import InvalidValueError

    ground = Interactions.of(view.catalogue)
    blocks = tuple(view.index.manifest.extra["blocks"])
    weights = {name: view.configuration.weights.get(name, 0.0) for name in blocks}
    began = time.process_time()
    subject = Subject.of(
        ground, text=_text_of(view), blocks=blocks, pooling=view.configuration.pooling, weights=weights, seed=seed
    )
    try:
        inner = sample_users(split(ground.acts, "temporal", seed=seed)[0], seed)
    except InvalidValueError as error:
        raise NotEstimableError(error.what, error.limit, error.hint) from error
    fitted = subject.fit(ground, inner.train)
    if not isinstance(fitted, FittedBlocks):
        raise TypeError(f"a subject fits blocks, not {type(fitted).__name__}")
    build_s = time.process_time() - began
    return pool_of(fitted, inner, weights, ground.n_films), inner.users, build_s


def _text_of(view: "View") -> npt.NDArray[np.float32] | None:
    """Return the text vectors the version holds, in the order of the catalogue; zeros for films it does not hold."""
    from recommender.features import layout

    columns = view.index.manifest.blocks.get(layout.TEXT)
    if columns is None:
        return None
    ids = view.catalogue.films[Film.ID]
    rows = np.array([view.film_rows.get(film, -1) for film in ids], dtype=np.int64)
    out = np.zeros((len(ids), columns[1] - columns[0]), np.float32)
    known = np.flatnonzero(rows >= 0)
    out[known] = view.index.take(rows[known])[:, slice(*columns)]
    return out


def _dealt(markets: npt.NDArray[np.str_], names: list[str], folds: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    dealt = np.empty(len(markets), np.int64)
    for name in names:
        inside = np.flatnonzero(markets == name)
        dealt[inside] = rng.permutation(len(inside)) % folds
    return dealt


def _weights(pool: "Pool", users: Rows) -> Floats:
    from recommender.evaluation.weights import rough_weights

    found = rough_weights(pool.take(users))
    return np.array([found[name] for name in pool.blocks])


def _precision(pool: "Pool", users: Rows, weights: Floats) -> Floats:
    from recommender.evaluation.metrics import hits, precision_per_user, top_k

    part = pool.take(users)
    scores = np.tensordot(weights.astype(np.float32), part.scores, 1)
    return precision_per_user(hits(top_k(scores, part.allowed, K), part.relevant))


def _fit_of(name: str, general: Floats, own: Floats) -> tuple[MarketFit, float]:
    """Return the row without its adjusted level, and its standard error."""
    from recommender.evaluation.comparison import compare

    found = compare(own, general, names=("own", "general"))
    error = float((own - general).std(ddof=1) / np.sqrt(len(own)))
    row = MarketFit(
        market=name, users=found.users, general=float(general.mean()), own=float(own.mean()),
        difference=Interval(value=found.difference, low=found.ci95[0], high=found.ci95[1]), p_value=found.p_value,
    )  # fmt: skip
    return row, error


def _adjusted(rows: Mapping[str, tuple[MarketFit, float]]) -> dict[str, MarketFit]:
    from scipy import stats

    p_values = [row.p_value if row.p_value is not None else np.nan for row, _ in rows.values()]
    out = {}
    for (name, (row, error)), p, adjusted in zip(rows.items(), p_values, adjust(p_values), strict=True):
        value = row.difference.value if row.difference else np.nan
        if error == 0:
            # Both weights give everybody the same films: there is no spread to make an interval of.
            out[name] = replace(row, p_value=float(adjusted))
            continue
        level = matching_alpha(p, float(adjusted), ALPHA)
        reach = float(stats.t.ppf(1 - level / 2, (row.users or 2) - 1)) * error
        interval = Interval(value=value, low=value - reach, high=value + reach)
        out[name] = replace(row, difference=interval, p_value=float(adjusted))
    return out


def _too_few(name: str, users: int, least: int) -> MarketFit:
    if users < least:
        note = f"not estimable: fewer than {least} users with held-back films, {LEAST_USERS} needed"
        return MarketFit(market=name, users=None, note=note)
    return MarketFit(
        market=name, users=users,
        note=f"not estimable: {users} users with held-back films, {LEAST_USERS - users} more needed",
    )  # fmt: skip
